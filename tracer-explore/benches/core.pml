/*
 * The core space of `unlazy explore` (tracer-explore/src/setup.rs:core) in Promela: 3 CPUs, 2 threads
 * of A, 1 of B, 1 kernel thread, 1 call, 1 flush, USES times kthread_use_mm. Step for step the same as
 * tracer-explore/src/kernel with its steps merged, so that states and steps can be counted in both.
 *
 *   spin -a core.pml; cc -O2 -DSAFETY -DNOREDUCE -o pan pan.c; ./pan -m100000
 *   spin -DASK_R1 -a core.pml   stops where R1 is broken; likewise ASK_R2
 *   spin -DUSES=0 -a core.pml   without kthread_use_mm
 *   spin -DREPAIRED -a core.pml linux-6.12-repaired
 *
 * Of the stores that a CPU holds back, only those after rq->curr outlive a step here, so a buffer is
 * told by its length: rq->curr, is_lazy (where a kernel thread runs on an mm that is loaded), and the
 * on_cpu of the task that was switched out are its entries, the oldest first.
 */
#ifndef USES
#define USES 1
#endif

#define CPUS 3
#define A1 0
#define A2 1
#define B1 2
#define KTHREAD 3
#define IDLE 4
#define TASKS 4

/* mms */
#define NONE 0
#define A 1
#define B 2
#define INIT 3

/* where a task is */
#define USER 0
#define SYSCALL 1
#define LEAVING 2
#define WORK 3
#define SCAN 4
#define SCAN_MM 5
#define SEND 6
#define WAIT 7
#define CALL_END 8
#define FLUSH_LOADED 9
#define FLUSH_SEND 10
#define FLUSH_WAIT 11

/* CPUs */
byte curr[CPUS];
byte m_curr[CPUS];
byte late[CPUS];      /* whose on_cpu is still held back */
byte held[CPUS];
byte active_mm[CPUS];
byte loaded[CPUS];
bool lazy[CPUS];
byte slot[CPUS];
bool rq_state[CPUS];
byte pend[CPUS];      /* flushes by task */
bool pend_call[CPUS];
/* what the rules remember */
bool debt[CPUS];
bool since[CPUS];
bool owes[CPUS];
bool came_back[CPUS];

/* tasks; the idle one has no mm */
byte mm[TASKS + 1];
byte pc[TASKS];
bool on_cpu[TASKS];
bool kernel_iret[TASKS];
byte todo[2];
byte mask[2];
byte looks_at[2];
byte has_read[2];
byte flush_gen[2];

byte tlb_gen = 1;
byte done_gen;
byte cpumask = 3;
byte users = 2;
byte count = 1;
byte mutex;
byte calls = 1;
byte flushes = 1;
byte uses = USES;
bool promised;

/* of one step */
hidden byte i, prev, prev_mm, next_mm, was_active, to_drop, stores, it;
hidden byte was_lazy, again;

#define BIT(c) (1 << (c))
#define CHANGES(t) (USES > 0 && (t) == KTHREAD)
#define ACTIVE(c) (mm[curr[c]] == NONE -> active_mm[c] : mm[curr[c]])
#define HAS_LAZY(c) (mm[curr[c]] == NONE && loaded[c] != INIT)
/* how many a CPU holds back if rq->curr is among them */
#define ALL_HELD(c) (1 + HAS_LAZY(c) + (late[c] != IDLE))
#define HOLDS_CURR(c) (held[c] > 0 && held[c] == ALL_HELD(c))
#define HOLDS_LAZY(c) (HAS_LAZY(c) && held[c] >= 1 + (late[c] != IDLE))
#define RELEASES(c, t) (held[c] > 0 && late[c] == (t))
#define FREE(t) (!on_cpu[t] || RELEASES(0, t) || RELEASES(1, t) || RELEASES(2, t))
#define IN_USER(c) (curr[c] < B1 && pc[curr[c]] == USER && !kernel_iret[curr[c]])

#ifdef ASK_R1
#define R1_BROKEN assert(false)
#else
#define R1_BROKEN skip
#endif
#ifdef ASK_R2
#define R2_BROKEN assert(false)
#else
#define R2_BROKEN skip
#endif
#ifdef ASK_R3
#define R3_BROKEN assert(false)
#else
#define R3_BROKEN skip
#endif
#ifdef ASK_R6
#define R6_BROKEN assert(false)
#else
#define R6_BROKEN skip
#endif

/* Every store of a CPU reaches memory. */
inline drain(c) {
	if
	:: held[c] > 0 ->
		m_curr[c] = curr[c];
		if
		:: late[c] != IDLE -> on_cpu[late[c]] = false
		:: else
		fi;
		late[c] = IDLE;
		held[c] = 0
	:: else
	fi
}

/* So many of the oldest do; not the last, unless all do. */
inline drain_some(c, n) {
	stores = n;
	if
	:: stores == 0
	:: stores > 0 && stores >= held[c] -> drain(c)
	:: else ->
		m_curr[c] = curr[c];
		held[c] = held[c] - stores
	fi
}

inline serialize(c) {
	drain(c);
	debt[c] = false;
	since[c] = false;
	owes[c] = false
}

inline logical(c, to) {
	debt[c] = (to == A)
}

inline check_user(c) {
	if
	:: curr[c] < B1 ->
		if
		:: debt[c] -> R1_BROKEN
		:: else
		fi;
		if
		:: promised && owes[c] -> R2_BROKEN
		:: else
		fi;
		if
		:: done_gen > 1 && slot[c] < done_gen -> R3_BROKEN
		:: else
		fi;
		debt[c] = false;
		owes[c] = false
	:: else
	fi
}

inline check_rq(c) {
	if
	:: mm[curr[c]] == A && !rq_state[c] && !came_back[c] -> R6_BROKEN
	:: mm[curr[c]] == B && rq_state[c] -> R6_BROKEN
	:: else
	fi
}

/* To user mode by SYSRET. */
inline go_to_user(c) {
	pc[curr[c]] = USER;
	check_user(c)
}

/* arch/x86/mm/tlb.c:switch_mm_irqs_off, where another mm is loaded. */
inline load(c, to) {
	drain(c);
	if
	:: loaded[c] == A -> cpumask = cpumask & ~BIT(c)
	:: else
	fi;
	if
	:: to == A -> cpumask = cpumask | BIT(c)
	:: else
	fi;
	serialize(c);
	if
	:: to == A -> slot[c] = tlb_gen
	:: else
	fi;
	loaded[c] = to
}

/* All of it. */
inline switch_mm(c, to) {
	was_lazy = lazy[c];
	lazy[c] = false;
	if
	:: loaded[c] != to -> load(c, to)
	:: else ->
		if
		:: was_lazy ->
			drain(c);
			if
			:: to == A && slot[c] != tlb_gen ->
				serialize(c);
				slot[c] = tlb_gen
			:: else
			fi
		:: else
		fi
	fi
}

inline enter_lazy_tlb(c) {
	if
	:: loaded[c] != INIT -> lazy[c] = true
	:: else
	fi
}

/* The stores of a switch wait: those of rq->curr and what follows. They do not if nobody could tell. */
inline hold(c) {
	late[c] = prev;
	held[c] = ALL_HELD(c);
	if
	:: !CHANGES(prev) && !CHANGES(curr[c]) -> drain(c)
	:: else
	fi
}

/* kernel/sched/core.c: __schedule, context_switch, finish_task_switch; then the way to user mode. */
inline schedule(c, next) {
	drain(c);
	if
	:: next != IDLE ->
		i = 0;
		do
		:: i < CPUS ->
			if
			:: RELEASES(i, next) -> drain(i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		on_cpu[next] = true
	:: else
	fi;
	prev = curr[c];
	prev_mm = mm[prev];
	next_mm = mm[next];
	was_active = ACTIVE(c);
	to_drop = NONE;
	curr[c] = next;
	if
	:: prev_mm != next_mm -> logical(c, next_mm)
	:: else
	fi;
	if
	:: next_mm == NONE ->
		active_mm[c] = was_active;
		came_back[c] = false;
		enter_lazy_tlb(c);
		if
		:: prev_mm == NONE -> hold(c)
		:: else ->
			count = count + (was_active == A);
			late[c] = prev;
			held[c] = 1;
			drain(c)
		fi
	:: else ->
		if
		:: was_active != next_mm ->
			rq_state[c] = (next_mm == A);
			came_back[c] = false
		:: else ->
			if
			:: prev_mm == NONE && rq_state[c] != (next_mm == A) -> came_back[c] = true
			:: else
			fi
		fi;
		if
		:: prev_mm == NONE -> to_drop = was_active
		:: else
		fi;
		active_mm[c] = next_mm;
		if
		:: loaded[c] == next_mm && !lazy[c] -> hold(c)
		:: else ->
			/* rq->curr is seen before the CPU goes on, and on_cpu as soon as anybody looks */
			late[c] = prev;
			held[c] = 1;
			switch_mm(c, next_mm);
			drain(c)
		fi;
		check_rq(c);
		if
		:: to_drop != NONE ->
			if
			:: to_drop == next_mm && to_drop == A -> serialize(c)
			:: else
			fi;
			drain(c);
			count = count - (to_drop == A)
		:: else
		fi
	fi;
	if
	:: next != IDLE ->
		if
		:: kernel_iret[next] ->
			kernel_iret[next] = false;
			serialize(c)
		:: else
		fi;
		if
		:: pc[next] == SYSCALL || pc[next] == LEAVING -> go_to_user(c)
		:: else
		fi
	:: else
	fi
}

/* What a task that makes room for another was at. */
inline leaves(c) {
	if
	:: curr[c] == IDLE
	:: else ->
		if
		:: pc[curr[c]] == USER -> pc[curr[c]] = SYSCALL
		:: pc[curr[c]] == SCAN || pc[curr[c]] == SCAN_MM || pc[curr[c]] == CALL_END ->
			kernel_iret[curr[c]] = true
		:: else
		fi
	fi
}

#define MAY_SWITCH(c) (curr[c] == IDLE || pc[curr[c]] <= SCAN_MM || pc[curr[c]] == CALL_END)

/* kernel/sched/membarrier.c: the CPUs that are still to be looked at. */
inline scan_all(c, me) {
	i = 0;
	do
	:: i < CPUS ->
		if
		:: todo[me] & BIT(i) ->
			it = (i == c -> curr[i] : m_curr[i]);
			if
			:: mm[it] == A -> mask[me] = mask[me] | BIT(i)
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	todo[me] = 0;
	pc[me] = SEND
}

inline scan_mm(c, me) {
	again = false;
#ifdef REPAIRED
	again = (mm[has_read[me]] != A && m_curr[looks_at[me]] != has_read[me]);
#endif
	if
	:: again ->
		todo[me] = todo[me] | BIT(looks_at[me]);
		pc[me] = SCAN
	:: else ->
		if
		:: mm[has_read[me]] == A -> mask[me] = mask[me] | BIT(looks_at[me])
		:: else
		fi;
		scan_all(c, me)
	fi;
	looks_at[me] = 0;
	has_read[me] = 0
}

inline scan_curr(c, me, there, n) {
	drain_some(there, n);
	todo[me] = todo[me] & ~BIT(there);
	looks_at[me] = there;
	has_read[me] = m_curr[there];
	if
	:: CHANGES(m_curr[there]) -> pc[me] = SCAN_MM
	:: else -> scan_mm(c, me)
	fi
}

inline send(c, me) {
	if
	:: (mask[me] & ~BIT(c)) != 0 -> drain(c)
	:: else
	fi;
	i = 0;
	do
	:: i < CPUS ->
		if
		:: i != c && (mask[me] & BIT(i)) -> pend_call[i] = true
		:: else
		fi;
		i++
	:: else -> break
	od;
	if
	:: mask[me] & BIT(c) -> serialize(c)
	:: else
	fi;
	mask[me] = mask[me] & ~BIT(c);
	pc[me] = (mask[me] == 0 -> CALL_END : WAIT)
}

inline call_ends(c, me) {
	drain(c);
	mutex = 0;
	pc[me] = LEAVING;
	promised = true;
	i = 0;
	do
	:: i < CPUS ->
		if
		:: since[i] ->
			since[i] = false;
			owes[i] = true
		:: else
		fi;
		if
		:: IN_USER(i) ->
			if
			:: owes[i] -> R2_BROKEN
			:: else
			fi;
			owes[i] = false
		:: else
		fi;
		i++
	:: else -> break
	od;
	go_to_user(c)
}

inline flush_sends(c, me) {
	if
	:: mask[me] != 0 -> drain(c)
	:: else
	fi;
	i = 0;
	do
	:: i < CPUS ->
		if
		:: mask[me] & BIT(i) -> pend[i] = pend[i] | BIT(me)
		:: else
		fi;
		i++
	:: else -> break
	od;
	if
	:: loaded[c] == A && flush_gen[me] > slot[c] ->
		slot[c] = tlb_gen;
		serialize(c)
	:: else
	fi;
	pc[me] = FLUSH_WAIT
}

inline flush_looks(c, me, there, n) {
	drain_some(there, n);
	i = 0;
	do
	:: i < CPUS ->
		if
		:: (todo[me] & BIT(i)) && !lazy[i] && loaded[i] == A -> mask[me] = mask[me] | BIT(i)
		:: else
		fi;
		i++
	:: else -> break
	od;
	todo[me] = 0;
	flush_sends(c, me)
}

inline flush_ends(c, me) {
	i = 0;
	do
	:: i < CPUS ->
		if
		:: IN_USER(i) && slot[i] < flush_gen[me] -> R3_BROKEN
		:: else
		fi;
		i++
	:: else -> break
	od;
	done_gen = flush_gen[me];
	flush_gen[me] = 0;
	go_to_user(c)
}

/* An interrupt ends: IRET. */
inline iret(c) {
	serialize(c);
	if
	:: curr[c] != IDLE ->
		if
		:: pc[curr[c]] == USER -> check_user(c)
		:: else
		fi
	:: else
	fi
}

inline answer(c) {
	pend_call[c] = false;
	serialize(c);
	mask[mutex - 1] = mask[mutex - 1] & ~BIT(c);
	iret(c)
}

inline flush_func(c, from) {
	pend[c] = pend[c] & ~BIT(from);
	if
	:: loaded[c] == A ->
		if
		:: lazy[c] -> switch_mm(c, INIT)
		:: else ->
			if
			:: flush_gen[from] > slot[c] ->
				slot[c] = tlb_gen;
				serialize(c)
			:: else
			fi
		fi
	:: else
	fi;
	drain(c);
	mask[from] = mask[from] & ~BIT(c);
	iret(c)
}

inline use_mm(c) {
	uses--;
	users++;
	count++;
	drain(c);
	to_drop = ACTIVE(c);
	mm[KTHREAD] = A;
	logical(c, A);
	active_mm[c] = A;
	rq_state[c] = true;
	came_back[c] = false;
	switch_mm(c, A);
#ifdef REPAIRED
	if
	:: to_drop == A -> serialize(c)
	:: else
	fi;
#endif
	drain(c);
	check_rq(c);
	count = count - (to_drop == A)
}

inline unuse_mm(c) {
	drain(c);
	mm[KTHREAD] = NONE;
	logical(c, NONE);
	rq_state[c] = false;
	active_mm[c] = A;
	came_back[c] = false;
	enter_lazy_tlb(c);
	users--
}

inline begin_call(c, me) {
	calls--;
	i = 0;
	do
	:: i < CPUS ->
		since[i] = true;
		i++
	:: else -> break
	od;
	drain(c);
	mutex = me + 1;
	todo[me] = 7;
	pc[me] = SCAN
}

inline begin_flush(c, me) {
	flushes--;
	drain(c);
	tlb_gen++;
	flush_gen[me] = tlb_gen;
	todo[me] = cpumask & ~BIT(c);
	pc[me] = (todo[me] == 0 -> FLUSH_SEND : FLUSH_LOADED)
}

#define SELF (_pid - 1)
#define RUNS(c) (curr[c] != IDLE)
#define ME curr[SELF]
#define SCANS(there) (ME < B1 && pc[ME] == SCAN && there != SELF)
#define LOOKS(there) (ME < B1 && pc[ME] == FLUSH_LOADED && there != SELF && held[there] > 0 && (todo[ME] & BIT(there)))
#define SWITCH_TO(n) d_step { MAY_SWITCH(SELF) && ME != n && FREE(n) -> leaves(SELF); schedule(SELF, n) }
/* One CPU in mind: before what it holds back has reached memory, and after. */
#define SCAN_OLD(there) d_step { SCANS(there) && (held[there] > 0 || CHANGES(m_curr[there])) -> scan_curr(SELF, ME, there, 0) }
#define SCAN_NEW(there) d_step { SCANS(there) && HOLDS_CURR(there) -> scan_curr(SELF, ME, there, 1) }
#define LOOK_OLD(there) d_step { LOOKS(there) -> flush_looks(SELF, ME, there, 0) }
#define LOOK_NEW(there) d_step { LOOKS(there) && HOLDS_LAZY(there) -> flush_looks(SELF, ME, there, held[there] - (late[there] != IDLE)) }

proctype cpu() {
	do
	:: SWITCH_TO(A1)
	:: SWITCH_TO(A2)
	:: SWITCH_TO(B1)
	:: SWITCH_TO(KTHREAD)
	:: d_step { RUNS(SELF) && MAY_SWITCH(SELF) -> leaves(SELF); schedule(SELF, IDLE) }
	:: d_step { !RUNS(SELF) && lazy[SELF] && loaded[SELF] != INIT -> switch_mm(SELF, INIT) }
	:: d_step { ME < B1 && pc[ME] == USER && calls > 0 -> begin_call(SELF, ME) }
	:: d_step { ME < B1 && pc[ME] == USER && flushes > 0 -> begin_flush(SELF, ME) }
	:: d_step { ME == KTHREAD && mm[KTHREAD] == A -> unuse_mm(SELF) }
	:: d_step { ME == KTHREAD && mm[KTHREAD] == NONE && uses > 0 -> use_mm(SELF) }
	:: d_step { ME < B1 && pc[ME] == SCAN -> scan_all(SELF, ME) }
	:: SCAN_OLD(0)
	:: SCAN_OLD(1)
	:: SCAN_OLD(2)
	:: SCAN_NEW(0)
	:: SCAN_NEW(1)
	:: SCAN_NEW(2)
	:: d_step { ME < B1 && pc[ME] == SCAN_MM -> scan_mm(SELF, ME) }
	:: d_step { ME < B1 && pc[ME] == SEND -> send(SELF, ME) }
	:: d_step { ME < B1 && (pc[ME] == CALL_END || pc[ME] == WAIT && mask[ME] == 0) -> call_ends(SELF, ME) }
	:: d_step { ME < B1 && pc[ME] == FLUSH_LOADED -> flush_looks(SELF, ME, 0, 0) }
	:: LOOK_OLD(0)
	:: LOOK_OLD(1)
	:: LOOK_OLD(2)
	:: LOOK_NEW(0)
	:: LOOK_NEW(1)
	:: LOOK_NEW(2)
	:: d_step { ME < B1 && pc[ME] == FLUSH_SEND -> flush_sends(SELF, ME) }
	:: d_step { ME < B1 && pc[ME] == FLUSH_WAIT && mask[ME] == 0 -> flush_ends(SELF, ME) }
	:: d_step { pend_call[SELF] -> answer(SELF) }
	:: d_step { pend[SELF] & BIT(A1) -> flush_func(SELF, A1) }
	:: d_step { pend[SELF] & BIT(A2) -> flush_func(SELF, A2) }
	od
}

init {
	atomic {
		curr[0] = A1;
		curr[1] = A2;
		curr[2] = B1;
		m_curr[0] = A1;
		m_curr[1] = A2;
		m_curr[2] = B1;
		i = 0;
		do
		:: i < CPUS ->
			late[i] = IDLE;
			slot[i] = 1;
			i++
		:: else -> break
		od;
		active_mm[0] = A;
		active_mm[1] = A;
		active_mm[2] = B;
		loaded[0] = A;
		loaded[1] = A;
		loaded[2] = B;
		rq_state[0] = true;
		rq_state[1] = true;
		mm[A1] = A;
		mm[A2] = A;
		mm[B1] = B;
		pc[KTHREAD] = WORK;
		on_cpu[A1] = true;
		on_cpu[A2] = true;
		on_cpu[B1] = true;
		run cpu();
		run cpu();
		run cpu()
	}
}
