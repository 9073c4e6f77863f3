/*
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What the platform has, for a kernel that asks by name.  The windows of the
 * VMBus differ from guest to guest: they are read from the block that
 * acpi_build writes before the RSDP (acpi.c, struct info).
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "HVKIT", "HVKVM", 0x00000001)
{
	OperationRegion (INFO, SystemMemory, 0x000E0000, 0x40)
	Field (INFO, DWordAcc, NoLock, Preserve)
	{
		LSTA, 32,	/* window below 4 GiB: start, length */
		LLEN, 32,
		HSTA, 64,	/* window above memory: start, length */
		HLEN, 64,
		LEGY, 32	/* not 0: PIC, PIT and RTC are there */
	}

	Name (\_S5, Package () { 5, 5, 0, 0 })

	Scope (\_SB)
	{
		Device (VMOD)
		{
			Name (_HID, "ACPI0004")
			Name (_UID, 0)

			Name (LOWW, ResourceTemplate ()
			{
				DWordMemory (ResourceProducer, PosDecode,
				    MinFixed, MaxFixed, NonCacheable,
				    ReadWrite, 0, 0, 0, 0, 0, , , LOW0)
			})
			Name (BOTH, ResourceTemplate ()
			{
				DWordMemory (ResourceProducer, PosDecode,
				    MinFixed, MaxFixed, NonCacheable,
				    ReadWrite, 0, 0, 0, 0, 0, , , LOW1)
				QWordMemory (ResourceProducer, PosDecode,
				    MinFixed, MaxFixed, Cacheable,
				    ReadWrite, 0, 0, 0, 0, 0, , , HIG1)
			})

			Method (_CRS, 0, Serialized)
			{
				If (HLEN == 0)
				{
					CreateDWordField (LOWW, ^LOW0._MIN, MIN0)
					CreateDWordField (LOWW, ^LOW0._MAX, MAX0)
					CreateDWordField (LOWW, ^LOW0._LEN, LEN0)
					MIN0 = LSTA
					LEN0 = LLEN
					MAX0 = LSTA + LLEN - 1
					Return (LOWW)
				}
				CreateDWordField (BOTH, ^LOW1._MIN, MIN1)
				CreateDWordField (BOTH, ^LOW1._MAX, MAX1)
				CreateDWordField (BOTH, ^LOW1._LEN, LEN1)
				MIN1 = LSTA
				LEN1 = LLEN
				MAX1 = LSTA + LLEN - 1
				CreateQWordField (BOTH, ^HIG1._MIN, MIN2)
				CreateQWordField (BOTH, ^HIG1._MAX, MAX2)
				CreateQWordField (BOTH, ^HIG1._LEN, LEN2)
				MIN2 = HSTA
				LEN2 = HLEN
				MAX2 = HSTA + HLEN - 1
				Return (BOTH)
			}

			Device (VMBS)
			{
				Name (_HID, "VMBUS")
				Name (_UID, 0)
				Name (_STA, 0x0F)
				Name (_DDN, "VMBUS")
			}
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_DDN, "COM1")
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
				IRQ (Edge, ActiveHigh, Exclusive) { 4 }
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Method (_STA, 0, NotSerialized)
			{
				If (LEGY == 0) { Return (0) }
				Return (0x0F)
			}
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
				IRQ (Edge, ActiveHigh, Exclusive) { 8 }
			})
		}

		Device (TIMR)
		{
			Name (_HID, EisaId ("PNP0100"))
			Method (_STA, 0, NotSerialized)
			{
				If (LEGY == 0) { Return (0) }
				Return (0x0F)
			}
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0040, 0x0040, 0x01, 0x04)
				IRQ (Edge, ActiveHigh, Exclusive) { 0 }
			})
		}

		Device (PIC)
		{
			Name (_HID, EisaId ("PNP0000"))
			Method (_STA, 0, NotSerialized)
			{
				If (LEGY == 0) { Return (0) }
				Return (0x0F)
			}
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0020, 0x0020, 0x01, 0x02)
				IO (Decode16, 0x00A0, 0x00A0, 0x01, 0x02)
				IRQ (Edge, ActiveHigh, Exclusive) { 2 }
			})
		}
	}
}
