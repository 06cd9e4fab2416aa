/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Planted bugs, all compiled in, each off until `unlazy_bug=NAME` at boot.
 *
 * Each is a static key: as long as it is off, its place costs one NOP and the code around it runs
 * as in the stock kernel.
 */
#ifndef _LINUX_UNLAZY_BUG_H
#define _LINUX_UNLAZY_BUG_H

#include <linux/jump_label.h>
#include <linux/percpu-defs.h>
#include <asm/percpu.h>

enum unlazy_bug_id {
#define UNLAZY_BUG(id, name) UNLAZY_##id,
#include <linux/unlazy_bug_list.h>
#undef UNLAZY_BUG
	UNLAZY_BUGS
};

struct cpumask;
struct mm_struct;

extern struct static_key_false unlazy_bug_keys[UNLAZY_BUGS];
DECLARE_PER_CPU(unsigned long [UNLAZY_BUGS], unlazy_bug_taken);

/* Whether the bug is on. */
#define unlazy_bug(id) static_branch_unlikely(&unlazy_bug_keys[UNLAZY_##id])

/*
 * The same, and counts: for the very place where the bug makes a difference.
 * The counter needs neither a lock nor an atomic operation, which might order or serialize.
 */
#define unlazy_bug_take(id)						\
({									\
	bool taken__ = unlazy_bug(id);					\
									\
	if (taken__)							\
		this_cpu_inc(unlazy_bug_taken[UNLAZY_##id]);		\
	taken__;							\
})

/* Keeps this CPU busy to widen a race: never sleeps, serializes nothing, any context. */
void unlazy_bug_delay(void);

/* Asks for a reschedule of this CPU as soon as that is possible. */
void unlazy_bug_resched(void);

/* Takes one CPU out of an IPI's targets; never the caller's. */
void unlazy_bug_lose_one(struct cpumask *mask);

/* Whether this exit is one that goes without its reference; marks @mm so that it stays readable. */
bool unlazy_bug_drop(struct mm_struct *mm);

/* Whether @mm was so marked: what its last reference would free stays. */
bool unlazy_bug_leaked(struct mm_struct *mm);

#endif /* _LINUX_UNLAZY_BUG_H */
