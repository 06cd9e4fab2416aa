// SPDX-License-Identifier: GPL-2.0
/*
 * unlazy_hole: a kernel thread that uses a process's mm on that process's request.
 *
 * kthread_use_mm() changes the logical mm of a CPU (rq->curr->mm) from NULL to an mm. If the thread
 * was lazily on that very mm, and no flush was missed, neither arch/x86/mm/tlb.c:switch_mm_irqs_off
 * nor kernel/kthread.c:kthread_use_mm does anything that serializes the core. And if the thread is
 * then switched out for a thread of the process, kernel/sched/core.c:finish_task_switch does not
 * either, since it does so only when the previous task had no mm. A membarrier call with SYNC_CORE
 * that skipped the CPU while its current task had no mm has returned by then.
 *
 * Drivers get there whenever they sleep between kthread_use_mm() and kthread_unuse_mm(). This module
 * is the smallest such driver, with each step on command, so that the path can be taken when
 * somebody watches it. It breaks no rule of the kernel's: it holds a reference to mm_users while it
 * uses an mm, and uses only exported functions in the way that their comments ask for.
 *
 * A process opens /dev/unlazy_hole, and writes one command at a time:
 *
 *	cpu N	make the kernel thread, bound to CPU N
 *	lazy	once a thread of the process sleeps in read(): the kernel thread runs, and keeps
 *		running, lazily on the process's mm; EAGAIN if the CPU was on another mm
 *	use	it calls kthread_use_mm(), wakes the reader, and sleeps
 *	yield	it wakes the reader and sleeps, without kthread_use_mm(): what every kernel thread does
 *	leave	it calls kthread_unuse_mm() and sleeps
 *	wake	the reader is woken from here, by no kernel thread
 *
 * read() sleeps until it is woken by one of these. With the module loaded, and no command written,
 * nothing happens at all.
 */

#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/mmu_context.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

/*
 * How long the kernel thread runs and waits for the command that follows "lazy". It runs at a
 * real-time priority, so this is also the longest time for which others are kept from its CPU.
 */
#define LONGEST_SPIN_NS (50 * NSEC_PER_MSEC)

/* How long "lazy" waits for a reader to sleep. */
#define LONGEST_WAIT (5 * HZ)

enum order {
	NONE,
	LAZY,
	USE,
	YIELD,
	LEAVE,
};

static const char *const commands[] = {
	[LAZY] = "lazy",
	[USE] = "use",
	[YIELD] = "yield",
	[LEAVE] = "leave",
};

/* One open file. */
struct hole {
	/* Whoever opened the file: mm_count is held for as long as it is open. */
	struct mm_struct *mm;
	/* One command at a time, and who makes the thread. */
	struct mutex lock;
	struct task_struct *thread;
	unsigned int cpu;

	/* Set by a command, put back to NONE by the thread, which stores its answer before. */
	enum order order;
	int answer;
	wait_queue_head_t orders;
	wait_queue_head_t answers;

	/* How many reads may return, and who waits for that. */
	atomic_t wakes;
	wait_queue_head_t readers;

	/* The thread's own: whether it uses the mm, and so holds mm_users. */
	bool using;
};

static void wake_reader(struct hole *hole)
{
	atomic_inc(&hole->wakes);
	wake_up(&hole->readers);
}

static void answer(struct hole *hole, int answer)
{
	hole->answer = answer;
	/* Pairs with the load in give(). */
	smp_store_release(&hole->order, NONE);
	wake_up(&hole->answers);
}

/*
 * Runs until there is another order. Nothing in here sleeps, and unless an interrupt comes, nothing
 * in here serializes: that is the point.
 */
static bool spin(struct hole *hole)
{
	ktime_t end = ktime_add_ns(ktime_get(), LONGEST_SPIN_NS);

	while (READ_ONCE(hole->order) == NONE) {
		if (kthread_should_stop() || ktime_after(ktime_get(), end))
			return false;
		cpu_relax();
	}
	return true;
}

static int use(struct hole *hole)
{
	if (hole->using)
		return -EBUSY;
	/* The process may be gone, all but its open file. */
	if (!mmget_not_zero(hole->mm))
		return -ESRCH;
	hole->using = true;
	kthread_use_mm(hole->mm);
	return 0;
}

static int leave(struct hole *hole)
{
	if (!hole->using)
		return -EINVAL;
	kthread_unuse_mm(hole->mm);
	hole->using = false;
	mmput(hole->mm);
	return 0;
}

/* "lazy", and what follows it without a pause. */
static void be_lazy(struct hole *hole)
{
	int result;

	if (hole->using) {
		answer(hole, -EBUSY);
		return;
	}
	if (current->active_mm != hole->mm || raw_smp_processor_id() != hole->cpu) {
		answer(hole, -EAGAIN);
		return;
	}
	answer(hole, 0);
	if (!spin(hole))
		return;
	switch (READ_ONCE(hole->order)) {
	case USE:
		result = use(hole);
		if (!result)
			wake_reader(hole);
		answer(hole, result);
		break;
	case YIELD:
		wake_reader(hole);
		answer(hole, 0);
		break;
	default:
		answer(hole, -EINVAL);
	}
}

static int hole_thread(void *data)
{
	struct hole *hole = data;

	while (!kthread_should_stop()) {
		/* Idle: neither a load nor, for the watchdog, a hung task. */
		wait_event_idle(hole->orders,
				smp_load_acquire(&hole->order) != NONE || kthread_should_stop());
		switch (READ_ONCE(hole->order)) {
		case NONE:
			break;
		case LAZY:
			be_lazy(hole);
			break;
		case LEAVE:
			answer(hole, leave(hole));
			break;
		case USE:
		case YIELD:
			/* It gave up waiting for this, or never was told to be lazy. */
			answer(hole, -ETIMEDOUT);
			break;
		}
	}
	leave(hole);
	return 0;
}

/* Gives the thread an order and waits for its answer. */
static int give(struct hole *hole, enum order order)
{
	int result;

	if (!hole->thread)
		return -ENXIO;
	/* If an earlier command was interrupted, its order may still stand. */
	result = wait_event_killable(hole->answers, smp_load_acquire(&hole->order) == NONE);
	if (result)
		return result;
	smp_store_release(&hole->order, order);
	wake_up(&hole->orders);
	result = wait_event_killable(hole->answers, smp_load_acquire(&hole->order) == NONE);
	return result ? result : hole->answer;
}

static int make_thread(struct hole *hole, const char *text)
{
	struct task_struct *thread;
	unsigned int cpu;
	int result = kstrtouint(text, 10, &cpu);

	if (result)
		return result;
	if (hole->thread)
		return -EBUSY;
	if (cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -ENODEV;
	thread = kthread_create_on_cpu(hole_thread, hole, cpu, "unlazy_hole/%u");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	/* The reader, once woken, must not preempt it before it sleeps by itself. */
	sched_set_fifo(thread);
	hole->cpu = cpu;
	hole->thread = thread;
	wake_up_process(thread);
	return 0;
}

static int obey(struct hole *hole, const char *command)
{
	int order;
	long left;

	if (current->mm != hole->mm)
		return -EPERM;
	if (str_has_prefix(command, "cpu "))
		return make_thread(hole, command + strlen("cpu "));
	if (!strcmp(command, "wake")) {
		wake_reader(hole);
		return 0;
	}
	for (order = LAZY; strcmp(command, commands[order]); order++)
		if (order == LEAVE)
			return -EINVAL;
	if (order == LAZY) {
		/* The reader sleeps, so that its CPU runs nothing of the process in user mode. */
		left = wait_event_interruptible_timeout(hole->answers,
							wq_has_sleeper(&hole->readers),
							LONGEST_WAIT);
		if (left <= 0)
			return left ? left : -ETIMEDOUT;
	}
	return give(hole, order);
}

static ssize_t hole_write(struct file *file, const char __user *buffer, size_t count, loff_t *pos)
{
	struct hole *hole = file->private_data;
	char text[16];
	int result;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buffer, count))
		return -EFAULT;
	text[count] = '\0';
	result = mutex_lock_interruptible(&hole->lock);
	if (result)
		return result;
	result = obey(hole, strim(text));
	mutex_unlock(&hole->lock);
	return result ? result : count;
}

/* Returns no byte; that it returns is what it has to tell. */
static ssize_t hole_read(struct file *file, char __user *buffer, size_t count, loff_t *pos)
{
	struct hole *hole = file->private_data;
	DEFINE_WAIT(wait);
	int result = 0;

	for (;;) {
		prepare_to_wait(&hole->readers, &wait, TASK_INTERRUPTIBLE);
		if (atomic_dec_if_positive(&hole->wakes) >= 0)
			break;
		if (signal_pending(current)) {
			result = -ERESTARTSYS;
			break;
		}
		/* "lazy" may be waiting for this. */
		wake_up(&hole->answers);
		schedule();
	}
	finish_wait(&hole->readers, &wait);
	return result;
}

static int hole_open(struct inode *inode, struct file *file)
{
	struct hole *hole;

	if (!current->mm)
		return -EINVAL;
	hole = kzalloc(sizeof(*hole), GFP_KERNEL);
	if (!hole)
		return -ENOMEM;
	hole->mm = current->mm;
	mmgrab(hole->mm);
	mutex_init(&hole->lock);
	init_waitqueue_head(&hole->orders);
	init_waitqueue_head(&hole->answers);
	init_waitqueue_head(&hole->readers);
	/* misc_open() left the device here, which nobody needs. */
	file->private_data = hole;
	return 0;
}

/* The last descriptor is closed, so nobody is in read() or write(). */
static int hole_release(struct inode *inode, struct file *file)
{
	struct hole *hole = file->private_data;

	if (hole->thread)
		kthread_stop(hole->thread);
	mmdrop(hole->mm);
	kfree(hole);
	return 0;
}

static const struct file_operations hole_fops = {
	/* Keeps the module, and with it the thread's code, while a file is open. */
	.owner = THIS_MODULE,
	.open = hole_open,
	.release = hole_release,
	.read = hole_read,
	.write = hole_write,
	.llseek = noop_llseek,
};

static struct miscdevice hole_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "unlazy_hole",
	.fops = &hole_fops,
	.mode = 0600,
};

module_misc_device(hole_device);

MODULE_DESCRIPTION("A kernel thread that uses a process's mm, step by step");
MODULE_LICENSE("GPL");
