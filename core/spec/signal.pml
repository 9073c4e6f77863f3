/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The signalling protocol of one ring: a producer, a consumer, a monitor bit
 * that a third party scans, and memory that delays stores.
 *
 * Each side has a buffer of stores that the other cannot see yet.  Under TSO
 * (x86) they become visible in order; with WEAK they become visible in any
 * order, except that a release store waits for those before it.  A fence waits
 * until the own buffer is empty.  Leaving out fence n is -DNO_FENCE=n; each of
 * the four must then be found as a lost wake-up (an invalid end state).
 *
 *	1  publish:	write index	| interrupt mask, read index
 *	2  want:	pending size	| read index
 *	3  release:	read index	| pending size, write index
 *	4  unmask:	interrupt mask	| write index
 *
 * Indices count packets and never wrap; a ring holds SIZE of them.  The model
 * is the order of core/include/hvk/ring.h and core/common/ring.c; the names
 * of the steps are those of enum hvk_ring_step.  Simulated with -DTRACE the model
 * prints the steps as it takes them, "P op publish", "P STORE_WRITE" and so on;
 * ring_trace_test.c compares them with what the code does, operation by
 * operation.
 */
#ifdef TRACE
#define STEP(what) printf(what);
#else
#define STEP(what)
#endif

#ifndef SIZE
#define SIZE	2
#endif
#ifndef PACKETS
#define PACKETS	4
#endif
#ifndef NO_FENCE
#define NO_FENCE 0
#endif

/* What memory holds, and what each side has stored but not yet shown. */
byte windex, rindex, pending;
bit mask;
bool w_full, r_full, p_full, m_full;	/* a delayed store exists */
byte w_new, r_new, p_new;
bit m_new;
/* TSO: which of a side's two delayed stores is older. */
bit p_first, m_first;

bool to_consumer, to_producer;		/* signals */
bool monitor;				/* bit in the monitor page */
bool producer_done, consumer_done;

#ifdef WEAK
#define W_MAY	true
#define P_MAY	(!w_full || !p_release)
#else
#define W_MAY	(!p_full || !p_first)
#define P_MAY	(!w_full || p_first)
#endif

/*
 * The pending size is a release store after the write index and the mask one
 * after the read index, in both memories: in WEAK the second of each pair
 * waits for the first, but the first may pass an older second.
 */
#define p_release	(!p_first)
#define m_release	(!m_first)
#ifdef WEAK
#define R_MAY	true
#define M_MAY	(!r_full || !m_release)
#else
#define R_MAY	(!m_full || !m_first)
#define M_MAY	(!r_full || m_first)
#endif

/* Memory: shows delayed stores whenever it likes. */
active proctype memory()
{
end:	do
	:: atomic { w_full && W_MAY -> windex = w_new; w_full = false;
	    p_first = 0 }
	:: atomic { p_full && P_MAY -> pending = p_new; p_full = false;
	    p_first = 0 }
	:: atomic { r_full && R_MAY -> rindex = r_new; r_full = false;
	    m_first = 0 }
	:: atomic { m_full && M_MAY -> mask = m_new; m_full = false;
	    m_first = 0 }
	od
}

#define P_FENCE	(!w_full && !p_full)
#define C_FENCE	(!r_full && !m_full)

/* A store waits until the same word's older store has become visible. */
inline store_write(v) {
	atomic { !w_full -> w_new = v; w_full = true;
	    if :: p_full -> p_first = 1 :: else -> p_first = 0 fi }
}
inline store_pending(v) {
	atomic { !p_full -> p_new = v; p_full = true; p_first = 0 }
}
inline store_read(v) {
	atomic { !r_full -> r_new = v; r_full = true;
	    if :: m_full -> m_first = 1 :: else -> m_first = 0 fi }
}
inline store_mask(v) {
	atomic { !m_full -> m_new = v; m_full = true; m_first = 0 }
}

inline signal_consumer() {
#ifdef MONITOR
	monitor = true
#else
	to_consumer = true
#endif
}

active proctype producer()
{
	byte w, old, seen, batch;

	do
	:: w == PACKETS -> break
	:: else ->
		batch = 0;
		old = w;
		/* Queue one or two packets, as far as there is room. */
		do
		:: batch < 2 && w < PACKETS ->
			seen = rindex;
			if
			:: w - seen < SIZE -> w++; batch++
			:: else -> break
			fi
		:: batch > 0 -> break
		:: batch == 2 || w == PACKETS -> break
		od;
		if
		:: batch > 0 ->
			STEP("P op publish\n")
			store_write(w);
			STEP("P STORE_WRITE\n")
#if NO_FENCE != 1
			P_FENCE;
			STEP("P FENCE\n")
#endif
			if
			:: mask == 0 ->
				STEP("P LOAD_MASK\n")
				seen = rindex;
				STEP("P LOAD_READ\n")
				if
				:: seen == old ->
					STEP("P SIGNAL\n")
					signal_consumer()
				:: else
				fi
			:: mask == 1 ->
				STEP("P LOAD_MASK\n")
				skip
			fi;
			STEP("P end\n")
			skip
		:: else ->
			/* Full: ask, look again, wait, and ask anew. */
			do
			:: STEP("P op want\n")
				store_pending(1);
				STEP("P STORE_PENDING\n")
#if NO_FENCE != 2
				P_FENCE;
				STEP("P FENCE\n")
#endif
				seen = rindex;
				STEP("P LOAD_READ\n")
				if
				:: w - seen < SIZE ->
					store_pending(0);
					STEP("P CLEAR_PENDING\n")
					STEP("P end\n")
					break
				:: else ->
					STEP("P end\n")
					skip
				fi;
				atomic { to_producer -> to_producer = false }
			od
		fi
	od;
	producer_done = true
}

active proctype consumer()
{
	byte r, before, seen, room;
	bit wanted;

	do
	:: r == PACKETS -> break
	:: else ->
		STEP("C op mask\n")
		store_mask(1);
		STEP("C STORE_MASK\n")
		STEP("C end\n")
		do
		:: seen = windex;
			if
			:: seen == r -> break
			:: else ->
				before = r;
				if
				:: r = seen
				:: r++
				fi;
				STEP("C op release\n")
				store_read(r);
				STEP("C STORE_READ\n")
#if NO_FENCE != 3
				C_FENCE;
				STEP("C FENCE\n")
#endif
				wanted = (pending != 0);
				STEP("C LOAD_PENDING\n")
				if
				:: wanted ->
					seen = windex;
					STEP("C LOAD_WRITE\n")
					room = SIZE - (seen - r);
					/* was full, and is not any more */
					if
					:: room > 0 &&
					    room - (r - before) == 0 ->
						STEP("C SIGNAL\n")
						to_producer = true
					:: else
					fi
				:: else
				fi;
				STEP("C end\n")
				skip
			fi
		od;
		if
		:: r == PACKETS -> break
		:: else
		fi;
		STEP("C op unmask\n")
		store_mask(0);
		STEP("C STORE_UNMASK\n")
#if NO_FENCE != 4
		C_FENCE;
		STEP("C FENCE\n")
#endif
		seen = windex;
		STEP("C LOAD_WRITE\n")
		STEP("C end\n")
		if
		:: seen != r
		:: else ->
			atomic { to_consumer -> to_consumer = false }
		fi
	od;
	consumer_done = true
}

#ifdef MONITOR
/* Scans the monitor page and turns a set bit into a signal. */
active proctype scanner()
{
end:	do
	:: atomic { monitor -> monitor = false; to_consumer = true }
	od
}
#endif
