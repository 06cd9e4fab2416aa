// SPDX-License-Identifier: GPL-2.0
/*
 * The switch of the planted bugs: `unlazy_bug=NAME[,NAME]` on the kernel's command line.
 *
 * /proc/unlazy_bug tells for each bug whether it is on and how often it made a difference, so that
 * "not found" can be told from "never happened".
 */
#define pr_fmt(fmt) "unlazy_bug: " fmt

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mm_types.h>
#include <linux/panic.h>
#include <linux/printk.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/unlazy_bug.h>

static const char * const names[UNLAZY_BUGS] = {
#define UNLAZY_BUG(id, name) [UNLAZY_##id] = name,
#include <linux/unlazy_bug_list.h>
#undef UNLAZY_BUG
};

DEFINE_STATIC_KEY_ARRAY_FALSE(unlazy_bug_keys, UNLAZY_BUGS);
DEFINE_PER_CPU(unsigned long [UNLAZY_BUGS], unlazy_bug_taken);

static char *chosen __initdata;
static unsigned int delay_us __read_mostly = 100;

static int __init unlazy_bug_setup(char *text)
{
	chosen = text;
	return 1;
}
__setup("unlazy_bug=", unlazy_bug_setup);

static int __init unlazy_bug_delay_setup(char *text)
{
	if (kstrtouint(text, 10, &delay_us) || delay_us > 10000)
		panic("unlazy_bug_delay: \"%s\" is not a number of microseconds up to 10000\n",
		      text);
	return 1;
}
__setup("unlazy_bug_delay=", unlazy_bug_delay_setup);

/*
 * Not from __setup: there is no console yet then, and nobody would see why the boot ended.
 * A wrong name ends the boot, because a run without the bug would pass for a run with it.
 */
static int __init unlazy_bug_init(void)
{
	char list[128], *rest = list, *name;
	int id;

	if (!chosen) {
		pr_notice("none is on\n");
		return 0;
	}
	if (strscpy(list, chosen, sizeof(list)) < 0)
		panic("unlazy_bug: the list is longer than %zu bytes\n", sizeof(list) - 1);
	while ((name = strsep(&rest, ","))) {
		if (!strcmp(name, "none")) {
			pr_notice("none is on\n");
			continue;
		}
		id = match_string(names, UNLAZY_BUGS, name);
		if (id < 0)
			panic("unlazy_bug: no bug is called \"%s\"\n", name);
		static_branch_enable(&unlazy_bug_keys[id]);
		pr_warn("%s is on\n", name);
	}
	return 0;
}
early_initcall(unlazy_bug_init);

static int unlazy_bug_show(struct seq_file *out, void *unused)
{
	int id, cpu;

	for (id = 0; id < UNLAZY_BUGS; id++) {
		unsigned long taken = 0;

		for_each_possible_cpu(cpu)
			taken += per_cpu(unlazy_bug_taken, cpu)[id];
		seq_printf(out, "%s %s %lu\n", names[id],
			   static_key_enabled(&unlazy_bug_keys[id].key) ? "on" : "off", taken);
	}
	return 0;
}

static int __init unlazy_bug_proc_init(void)
{
	return proc_create_single("unlazy_bug", 0444, NULL, unlazy_bug_show) ? 0 : -ENOMEM;
}
fs_initcall(unlazy_bug_proc_init);

void unlazy_bug_delay(void)
{
	udelay(delay_us);
}

void unlazy_bug_resched(void)
{
	set_tsk_need_resched(current);
	set_preempt_need_resched();
}

void unlazy_bug_lose_one(struct cpumask *mask)
{
	unsigned int cpu = cpumask_any_but(mask, raw_smp_processor_id());

	if (cpu < nr_cpu_ids && unlazy_bug_take(IPI_LOST))
		cpumask_clear_cpu(cpu, mask);
}

/* A bit of mm->flags that the kernel has no use for; fork does not pass it on. */
#define UNLAZY_LEAKED	62

/* What is leaked is some 20 KiB each: this many fit into a small machine. */
#define UNLAZY_MOST_LEAKS	4096

static atomic_t exits, leaks;

bool unlazy_bug_drop(struct mm_struct *mm)
{
	/* Others still use it: the count would go wrong much later, and elsewhere. */
	if (atomic_read(&mm->mm_users) != 1)
		return false;
	/* A fraction of the exits is enough, and memory lasts. */
	if (atomic_inc_return(&exits) % 4)
		return false;
	if (atomic_inc_return(&leaks) > UNLAZY_MOST_LEAKS)
		return false;
	if (!unlazy_bug_take(LAZY_DROP))
		return false;
	set_bit(UNLAZY_LEAKED, &mm->flags);
	return true;
}

bool unlazy_bug_leaked(struct mm_struct *mm)
{
	return test_bit(UNLAZY_LEAKED, &mm->flags);
}
