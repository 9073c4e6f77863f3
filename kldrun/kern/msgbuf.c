/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * msgbuf.c: the message buffer, a ring of what went to the console, as
 * dmesg(8) and a panic's report read it. It has the kernel's own layout, so
 * that modules may look at the sequence numbers themselves.
 *
 * msgbuf_lock guards it. It is held for a copy and nothing else, so that a
 * panic can wait for it.
 */

#include "kern.h"
#include <sys/msgbuf.h>
#include <sys/sysctl.h>

#define	SIZE	(64u * 1024)
#define	SEQMOD	(SIZE * 16)

static struct os_lock lock;
static char text[SIZE];
static struct msgbuf buffer = {
	.msg_ptr = text,
	.msg_magic = MSG_MAGIC,
	.msg_size = SIZE,
	.msg_seqmod = SEQMOD,
};
struct msgbuf *msgbufp = &buffer;
int msgbufsize = SIZE;

void
kld_msgbuf_add(const char *s, os_u64 len)
{
	struct msgbuf *mb = &buffer;

	os_lock(&lock);
	for (; len > 0; s++, len--) {
		text[MSGBUF_SEQ_TO_POS(mb, mb->msg_wseq)] = *s;
		mb->msg_wseq = MSGBUF_SEQADD(mb, mb->msg_wseq, 1);
	}
	os_unlock(&lock);
}

/* From *seqp on, which moves; what was overwritten is skipped. */
int
msgbuf_peekbytes(struct msgbuf *mb, char *buf, int buflen, u_int *seqp)
{
	u_int have, i, n;

	if (buflen <= 0)
		return (0);
	os_lock(&lock);
	have = MSGBUF_SEQSUB(mb, mb->msg_wseq, *seqp);
	if (have > mb->msg_size) {
		*seqp = MSGBUF_SEQSUB(mb, mb->msg_wseq, mb->msg_size);
		have = mb->msg_size;
	}
	n = min(have, (u_int)buflen);
	for (i = 0; i < n; i++)
		buf[i] = text[MSGBUF_SEQ_TO_POS(mb,
		    MSGBUF_SEQADD(mb, *seqp, i))];
	*seqp = MSGBUF_SEQADD(mb, *seqp, n);
	os_unlock(&lock);
	return ((int)n);
}

static int
sysctl_msgbuf(SYSCTL_HANDLER_ARGS)
{
	char piece[128];
	u_int seq;
	int error, i, kept, len;

	seq = MSGBUF_SEQSUB(&buffer, buffer.msg_wseq, SIZE);
	error = 0;
	while (error == 0 && (len = msgbuf_peekbytes(&buffer, piece,
	    sizeof(piece), &seq)) > 0) {
		for (i = kept = 0; i < len; i++)
			if (piece[i] != '\0')
				piece[kept++] = piece[i];
		error = SYSCTL_OUT(req, piece, kept);
	}
	return (error != 0 ? error : SYSCTL_OUT(req, "", 1));
}
SYSCTL_PROC(_kern, OID_AUTO, msgbuf, CTLTYPE_STRING | CTLFLAG_RD |
    CTLFLAG_MPSAFE, NULL, 0, sysctl_msgbuf, "A",
    "Contents of kernel message buffer");
