/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/goal.h"

#include "shm/base.h"

#define FADING 0.875        /* what was seen counts for so much when the next comes: half after five */
#define SPREAD 0.0625       /* variance over the mean's square, from which on nurseries differ enough to tell */
#define LEARNING 0.25       /* of what is new about the fixed part */
#define RISING 1.125        /* the shortest is forgotten by so much a pause */
#define FIXED_SHARE 8.0     /* of the time between pauses may go into what is fixed */
#define AIMED_AT(ns) ((double)(ns) * 0.75) /* pauses vary, and stopping takes its time too */

static double clamp(double x, double min, double max)
{
    return x < min ? min : x > max ? max : x;
}

static void note(struct goal *g, double bytes, double ns, double known_ns)
{
    g->weight = g->weight * FADING + 1;
    g->n = g->n * FADING + bytes;
    g->d = g->d * FADING + ns;
    g->nn = g->nn * FADING + bytes * bytes;
    g->nd = g->nd * FADING + bytes * ns;
    double rest_ns = MM_MAX(ns - known_ns, 1);
    g->least_ns = g->least_ns == 0 ? rest_ns : clamp(rest_ns, 0, g->least_ns * RISING);
}

static void learn_fixed(struct goal *g)
{
    double n = g->n / g->weight, d = g->d / g->weight;
    double variance = g->nn / g->weight - n * n;

    if (variance > SPREAD * n * n) {
        double slope = (g->nd / g->weight - n * d) / variance;
        g->fixed_ns += LEARNING * (clamp(d - slope * n, 0, g->least_ns) - g->fixed_ns);
    }
    g->fixed_ns = clamp(g->fixed_ns, 0, g->least_ns);
}

uint64_t goal_nursery_bytes(struct goal *g, const struct goal_pause *pause)
{
    double bytes = (double)pause->nursery_bytes, ns = (double)MM_MAX(pause->pause_ns, (uint64_t)1);
    double ran_ns = g->ended_ns == 0 || pause->begun_ns < g->ended_ns ? 0 : (double)(pause->begun_ns - g->ended_ns);

    note(g, bytes, ns, (double)pause->looking_ns);
    learn_fixed(g);
    g->ended_ns = pause->begun_ns + pause->pause_ns;
    double varying_ns = MM_MAX(ns - g->fixed_ns, ns / 1024);
    double wanted = (AIMED_AT(pause->goal_ns) - g->fixed_ns) / varying_ns * bytes;
    double spared = ran_ns == 0 ? 0 : g->fixed_ns * FIXED_SHARE / ran_ns * bytes;
    return (uint64_t)clamp(MM_MAX(wanted, spared), bytes / 2, bytes * 1.5);
}
