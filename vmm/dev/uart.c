/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A 16550A serial port.  Output goes to a queue that the console empties: when
 * it is full the transmitter is busy, as a slow line would be.  Input waits in
 * the receive FIFO; what does not fit stays with the caller.  Speed and frame
 * are kept and mean nothing.
 *
 * Locking: `lock` guards everything; line() and notify are called with it
 * held.
 *
 * Source of facts: the data sheet of National Semiconductor's PC16550D.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dev.h"

#define	RX_FIFO		16u
#define	TX_QUEUE	65536u

enum {
	IER_RX = 0x01, IER_TX = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08,
	IIR_NONE = 0x01, IIR_TX = 0x02, IIR_RX = 0x04, IIR_TIMEOUT = 0x0c,
	IIR_FIFO = 0xc0,
	FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04,
	LCR_DLAB = 0x80,
	MCR_LOOP = 0x10, MCR_OUT2 = 0x08,
	LSR_READY = 0x01, LSR_OVERRUN = 0x02, LSR_THRE = 0x20, LSR_IDLE = 0x40,
	MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_DCD = 0x80,
};

struct dev_uart {
	pthread_mutex_t	lock;
	struct dev_machine machine;
	uint32_t	gsi;
	void		(*notify)(void *);
	void		*notify_arg;
	uint8_t		ier, fcr, lcr, mcr, scratch, dll, dlm;
	bool		overrun;
	bool		tx_irq;		/* "transmitter empty" not yet seen */
	bool		level;
	bool		rx_wanted;	/* the console holds a byte back */
	uint8_t		rx[RX_FIFO];
	unsigned	rx_head, rx_n;
	uint8_t		*tx;
	unsigned	tx_head, tx_n;
};

static void
tell(struct dev_uart *u)
{

	if (u->notify != NULL)
		u->notify(u->notify_arg);
}

static void
update(struct dev_uart *u)
{
	bool level;

	level = ((u->ier & IER_RX) != 0 && u->rx_n > 0) ||
	    ((u->ier & IER_TX) != 0 && u->tx_irq) ||
	    ((u->ier & IER_LINE) != 0 && u->overrun);
	if (level == u->level)
		return;
	u->level = level;
	u->machine.line(u->machine.arg, u->gsi, level);
}

static void
rx_put(struct dev_uart *u, uint8_t byte)
{
	unsigned depth = (u->fcr & FCR_ENABLE) != 0 ? RX_FIFO : 1;

	if (u->rx_n >= depth) {
		u->overrun = true;
		return;
	}
	u->rx[(u->rx_head + u->rx_n++) % RX_FIFO] = byte;
}

static uint8_t
rx_get(struct dev_uart *u)
{
	uint8_t byte;

	if (u->rx_n == 0)
		return (0);
	byte = u->rx[u->rx_head];
	u->rx_head = (u->rx_head + 1) % RX_FIFO;
	u->rx_n--;
	if (u->rx_wanted) {
		u->rx_wanted = false;
		tell(u);
	}
	return (byte);
}

static void
tx_put(struct dev_uart *u, uint8_t byte)
{

	if ((u->mcr & MCR_LOOP) != 0) {
		rx_put(u, byte);
		u->tx_irq = true;
		return;
	}
	if (u->tx_n == TX_QUEUE)
		return;			/* it was told: transmitter busy */
	u->tx[(u->tx_head + u->tx_n++) % TX_QUEUE] = byte;
	u->tx_irq = u->tx_n < TX_QUEUE;
	if (u->tx_n == 1)
		tell(u);
}

static uint8_t
read_iir(struct dev_uart *u)
{
	uint8_t fifo = (u->fcr & FCR_ENABLE) != 0 ? IIR_FIFO : 0;

	if ((u->ier & IER_LINE) != 0 && u->overrun)
		return (fifo | 0x06);
	if ((u->ier & IER_RX) != 0 && u->rx_n > 0)
		return (fifo | (fifo != 0 && u->rx_n < RX_FIFO / 2 ?
		    IIR_TIMEOUT : IIR_RX));
	if ((u->ier & IER_TX) != 0 && u->tx_irq) {
		u->tx_irq = false;	/* reading acknowledges it */
		return (fifo | IIR_TX);
	}
	return (fifo | IIR_NONE);
}

static uint8_t
read_lsr(struct dev_uart *u)
{
	uint8_t v = 0;

	if (u->rx_n > 0)
		v |= LSR_READY;
	if (u->overrun)
		v |= LSR_OVERRUN;
	u->overrun = false;
	if (u->tx_n < TX_QUEUE)
		v |= LSR_THRE | LSR_IDLE;
	return (v);
}

static uint8_t
read_msr(const struct dev_uart *u)
{

	if ((u->mcr & MCR_LOOP) == 0)
		return (MSR_CTS | MSR_DSR | MSR_DCD);
	/* RTS, DTR, OUT1, OUT2 come back as CTS, DSR, RI, DCD. */
	return ((uint8_t)((u->mcr & 0x02) << 3 | (u->mcr & 0x01) << 5 |
	    (u->mcr & 0x0c) << 4));
}

static uint8_t
read_register(struct dev_uart *u, uint16_t r)
{

	switch (r) {
	case 0:
		return ((u->lcr & LCR_DLAB) != 0 ? u->dll : rx_get(u));
	case 1:
		return ((u->lcr & LCR_DLAB) != 0 ? u->dlm : u->ier);
	case 2:
		return (read_iir(u));
	case 3:
		return (u->lcr);
	case 4:
		return (u->mcr);
	case 5:
		return (read_lsr(u));
	case 6:
		return (read_msr(u));
	default:
		return (u->scratch);
	}
}

static void
write_fcr(struct dev_uart *u, uint8_t v)
{

	if ((v & FCR_CLEAR_RX) != 0 || ((v ^ u->fcr) & FCR_ENABLE) != 0)
		u->rx_n = 0;
	/* What was sent is on the line: clearing takes nothing back. */
	if ((v & FCR_CLEAR_TX) != 0)
		u->tx_irq = u->tx_n < TX_QUEUE;
	u->fcr = v & ~(FCR_CLEAR_RX | FCR_CLEAR_TX);
	if (u->rx_wanted) {
		u->rx_wanted = false;
		tell(u);
	}
}

static void
write_register(struct dev_uart *u, uint16_t r, uint8_t v)
{

	switch (r) {
	case 0:
		if ((u->lcr & LCR_DLAB) != 0)
			u->dll = v;
		else
			tx_put(u, v);
		break;
	case 1:
		if ((u->lcr & LCR_DLAB) != 0) {
			u->dlm = v;
			break;
		}
		if ((v & ~u->ier & IER_TX) != 0 && u->tx_n < TX_QUEUE)
			u->tx_irq = true;
		u->ier = v & 0x0f;
		break;
	case 2:
		write_fcr(u, v);
		break;
	case 3:
		u->lcr = v;
		break;
	case 4:
		u->mcr = v & 0x1f;
		break;
	case 7:
		u->scratch = v;
		break;
	default:
		break;
	}
}

/* A wider access is as many narrow ones. */
static uint32_t
uart_read(void *arg, uint16_t offset, unsigned size)
{
	struct dev_uart *u = arg;
	uint32_t value = 0;
	unsigned i;

	pthread_mutex_lock(&u->lock);
	for (i = 0; i < size; i++)
		value |= (uint32_t)read_register(u, (uint16_t)(offset + i)) <<
		    8 * i;
	update(u);
	pthread_mutex_unlock(&u->lock);
	return (value);
}

static void
uart_write(void *arg, uint16_t offset, unsigned size, uint32_t value)
{
	struct dev_uart *u = arg;
	unsigned i;

	pthread_mutex_lock(&u->lock);
	for (i = 0; i < size; i++)
		write_register(u, (uint16_t)(offset + i),
		    (uint8_t)(value >> 8 * i));
	update(u);
	pthread_mutex_unlock(&u->lock);
}

bool
dev_uart_input(struct dev_uart *u, uint8_t byte)
{
	bool room;

	pthread_mutex_lock(&u->lock);
	room = (u->mcr & MCR_LOOP) == 0 &&
	    u->rx_n < ((u->fcr & FCR_ENABLE) != 0 ? RX_FIFO : 1);
	if (room)
		rx_put(u, byte);
	u->rx_wanted = !room;
	update(u);
	pthread_mutex_unlock(&u->lock);
	return (room);
}

size_t
dev_uart_output(struct dev_uart *u, uint8_t *to, size_t len)
{
	size_t n = 0;

	pthread_mutex_lock(&u->lock);
	while (n < len && u->tx_n > 0) {
		to[n++] = u->tx[u->tx_head];
		u->tx_head = (u->tx_head + 1) % TX_QUEUE;
		u->tx_n--;
	}
	/* It was full: there is room again. */
	if (n > 0 && u->tx_n + n == TX_QUEUE)
		u->tx_irq = true;
	update(u);
	pthread_mutex_unlock(&u->lock);
	return (n);
}

void
dev_uart_notify(struct dev_uart *u, void (*fn)(void *), void *arg)
{

	pthread_mutex_lock(&u->lock);
	u->notify = fn;
	u->notify_arg = arg;
	if (fn != NULL && u->tx_n > 0)
		fn(arg);
	pthread_mutex_unlock(&u->lock);
}

void
dev_uart_reset(struct dev_uart *u)
{

	pthread_mutex_lock(&u->lock);
	u->ier = u->fcr = u->lcr = u->mcr = u->scratch = 0;
	u->dll = 1;
	u->dlm = 0;
	u->overrun = false;
	u->tx_irq = true;
	u->rx_n = 0;
	update(u);
	pthread_mutex_unlock(&u->lock);
}

void
dev_uart_port(struct dev_uart *u, uint16_t base, struct dev_port *p)
{

	*p = (struct dev_port){ base, 8, uart_read, uart_write, u };
}

struct dev_uart *
dev_uart_create(const struct dev_machine *machine, uint32_t gsi)
{
	struct dev_uart *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return (NULL);
	u->tx = malloc(TX_QUEUE);
	if (u->tx == NULL) {
		free(u);
		return (NULL);
	}
	pthread_mutex_init(&u->lock, NULL);
	u->machine = *machine;
	u->gsi = gsi;
	u->dll = 1;
	u->tx_irq = true;
	return (u);
}

void
dev_uart_destroy(struct dev_uart *u)
{

	if (u == NULL)
		return;
	pthread_mutex_destroy(&u->lock);
	free(u->tx);
	free(u);
}
