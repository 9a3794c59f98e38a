// SPDX-License-Identifier: Apache-2.0
//! The clocks, the starting gun and the one output format of every bench program: bench.h, in Rust.
use std::io::Write;

/// The exit status that says: the work does not fit into this heap.
pub const NO_ROOM: i32 = 4;

#[derive(Clone, Copy)]
pub enum Clock {
    Wall,
    Process,
    Thread,
}

pub fn now_ns(clock: Clock) -> u64 {
    let id = match clock {
        Clock::Wall => libc::CLOCK_MONOTONIC,
        Clock::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
        Clock::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
    };
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: ts outlives the call, and these three clocks always exist.
    unsafe { libc::clock_gettime(id, &mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

/// Tells the driver that setting up is over and waits for its line.
pub fn ready() {
    println!("ready");
    std::io::stdout().flush().ok();
    let mut line = String::new();
    if !matches!(std::io::stdin().read_line(&mut line), Ok(n) if n > 0) {
        std::process::exit(3); // the driver has gone: nothing left to measure for
    }
}

pub fn result(name: &str, value: f64) {
    println!("{name} {value}");
}

pub fn die(why: &str) -> ! {
    eprintln!("gcbench: {why}");
    std::process::exit(2)
}

pub fn no_room() -> ! {
    eprintln!("gcbench: out of memory");
    std::process::exit(NO_ROOM)
}
