# SPDX-License-Identifier: Apache-2.0
"""Plots by gnuplot. The data lie beside the picture in a file of its own, and are there without gnuplot, too."""
import dataclasses
import shutil
import subprocess

from harness import Broken


@dataclasses.dataclass
class Plot:
    name: str                           # of the files: NAME.svg, NAME.data, NAME.gnuplot
    title: str
    x: str                              # what the axes are
    y: str
    lines: dict                         # {label: [(x, y), ...]}
    log: str = ""                       # axes that are logarithmic: "x", "y", "xy"
    base: int = 10                      # of x's ticks


def draw(plot, out):
    """Writes @plot's files into the folder @out. Returns the line to be said about it."""
    data = out / f"{plot.name}.data"
    data.write_text(data_of(plot))
    if shutil.which("gnuplot") is None:
        return f"no plot {plot.name}.svg: gnuplot is not installed (--install-peers brings it); its data: {data}"
    picture, script = out / f"{plot.name}.svg", out / f"{plot.name}.gnuplot"
    script.write_text(script_of(plot, data.name, picture.name))
    r = subprocess.run(["gnuplot", script.name], cwd=out, capture_output=True, text=True)
    if r.returncode:
        raise Broken(f"gnuplot {script}: {r.stderr.strip() or r.returncode}")
    return f"plot: {picture}"


def data_of(plot):
    """One block a line, as gnuplot's `index` counts them; each begins with its label."""
    return "\n\n".join(f"# {label}\n" + "".join(f"{x:.9g} {y:.9g}\n" for x, y in points)
                       for label, points in plot.lines.items())


def script_of(plot, data, picture):
    curves = [f"'{data}' index {i} with linespoints pointsize 0.5 title {_quoted(label)}" for i, label in enumerate(plot.lines)]
    return "\n".join([
        "set terminal svg size 960,600 dynamic noenhanced background rgb 'white'",
        f"set output '{picture}'",
        f"set title {_quoted(plot.title)}", f"set xlabel {_quoted(plot.x)}", f"set ylabel {_quoted(plot.y)}",
        "set key outside center bottom horizontal", "set grid",
        *([f"set logscale x {plot.base}"] if "x" in plot.log else []), *(["set format x '%.0s%c'"] if plot.base == 10 else []),
        *(["set logscale y 10"] if "y" in plot.log else []),
        *([] if "y" in plot.log else ["set yrange [0:*]"]),
        "plot " + ", \\\n     ".join(curves), ""])


def _quoted(text):
    return "'" + text.replace("'", "''") + "'"
