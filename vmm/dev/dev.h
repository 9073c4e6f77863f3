/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The few devices of a machine of its own (engine kvm) that are not on the
 * VMBus: serial port, power registers, real-time clock, and the console that
 * joins the serial port to our terminal.
 *
 * Each device has a lock of its own, taken inside its functions; callbacks to
 * the machine (an interrupt line, an event) are made with it held, so they may
 * not call back into the device.
 */
#ifndef _VMM_DEV_H_
#define	_VMM_DEV_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the devices ask of the machine.  Any thread. */
enum dev_event {
	DEV_POWER_OFF,		/* the guest switched itself off */
	DEV_RESET,		/* the guest reset itself */
	DEV_QUIT,		/* escape key: end at once */
	DEV_NMI,
	DEV_POWER_BUTTON,
};
struct dev_machine {
	void	(*line)(void *, uint32_t gsi, bool level);
	void	(*event)(void *, enum dev_event);
	void	*arg;
};

/* ---- ports.c: who answers a port. */
#define	DEV_PORTS	16u
struct dev_port {
	uint16_t	base;
	uint16_t	len;
	uint32_t	(*read)(void *, uint16_t offset, unsigned size);
	void		(*write)(void *, uint16_t offset, unsigned size,
			    uint32_t value);
	void		*arg;
};
struct dev_ports {
	struct dev_port	port[DEV_PORTS];
	unsigned	n;
};
/* 0, or -errno when the table is full or the range taken.  At creation only. */
int	dev_ports_add(struct dev_ports *, const struct dev_port *);
/* size 1, 2 or 4.  A port that nobody has reads as all ones. */
uint32_t dev_ports_read(const struct dev_ports *, uint16_t port,
	    unsigned size);
void	dev_ports_write(const struct dev_ports *, uint16_t port,
	    unsigned size, uint32_t value);

/* ---- uart.c: a 16550A. */
struct dev_uart;
struct dev_uart *dev_uart_create(const struct dev_machine *, uint32_t gsi);
void	dev_uart_destroy(struct dev_uart *);
void	dev_uart_port(struct dev_uart *, uint16_t base, struct dev_port *);
void	dev_uart_reset(struct dev_uart *);
/* A byte for the guest; false: no room, try again when asked to. */
bool	dev_uart_input(struct dev_uart *, uint8_t byte);
/* Bytes from the guest, at most len; 0 when there are none. */
size_t	dev_uart_output(struct dev_uart *, uint8_t *to, size_t len);
/* Called, from any thread, when output waits or input has room again. */
void	dev_uart_notify(struct dev_uart *, void (*fn)(void *), void *arg);

/* ---- power.c: ACPI's fixed registers, reset registers. */
struct dev_power;
struct dev_power *dev_power_create(const struct dev_machine *, bool legacy);
void	dev_power_destroy(struct dev_power *);
int	dev_power_ports(struct dev_power *, struct dev_ports *);
void	dev_power_reset(struct dev_power *);
/* Press the power button; false: the guest does not listen to it. */
bool	dev_power_button(struct dev_power *);

/* ---- rtc.c: the clock and memory at ports 0x70 and 0x71, UTC. */
struct dev_rtc;
struct dev_rtc *dev_rtc_create(void);
void	dev_rtc_destroy(struct dev_rtc *);
int	dev_rtc_ports(struct dev_rtc *, struct dev_ports *);

/* ---- ioapic.c */
struct dev_message {		/* to a local APIC; data 0: none */
	uint32_t	address;
	uint32_t	data;
};
struct dev_ioapic_ops {
	void	(*send)(void *, const struct dev_message *);
	/* What each pin would send, from now on. */
	void	(*routes)(void *, const struct dev_message *, unsigned n);
	void	*arg;
};
struct dev_ioapic;
struct dev_ioapic *dev_ioapic_create(const struct dev_ioapic_ops *);
void	dev_ioapic_destroy(struct dev_ioapic *);
void	dev_ioapic_reset(struct dev_ioapic *);
/* 32-bit accesses at an offset of its page. */
uint32_t dev_ioapic_read(struct dev_ioapic *, uint32_t offset);
void	dev_ioapic_write(struct dev_ioapic *, uint32_t offset, uint32_t value);
void	dev_ioapic_line(struct dev_ioapic *, uint32_t pin, bool level);
/* A processor is done with a level-triggered interrupt. */
void	dev_ioapic_eoi(struct dev_ioapic *, uint8_t vector);

/* ---- console.c: the serial port on our terminal, with a copy in DIR. */
struct dev_console;
struct dev_console *dev_console_start(struct dev_uart *,
	    const struct dev_machine *, const char *dir, char *err,
	    size_t errlen);
/* Everything that the guest wrote is out, or 2 s are over. */
void	dev_console_stop(struct dev_console *);

#endif /* _VMM_DEV_H_ */
