# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# count.awk: callgrind's files, one for each thread, into instructions by who
# executed them.  First file: `kldrun symbols'; module code is known to
# callgrind by its addresses alone.
#
# A thread is told by what ran on it: hnbench's own functions mark the one that
# sends and the one that receives; the interrupt threads are in the order of
# their processors, of which the first belongs to hn0, which sends.
#
#	tx|rx driver|copy|kernel COUNT		copy: memcpy and the like that the
#						driver asked for
#	tx|rx MODULE`FUNCTION COUNT		with -v functions=1

function hex(s,  i, n) {
	n = 0
	s = tolower(substr(s, 3))
	for (i = 1; i <= length(s); i++)
		n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
	return n
}

# The symbol at an address, or 0.
function find(a,  lo, hi, mid) {
	lo = 1
	hi = nsym
	while (lo < hi) {
		mid = int((lo + hi + 1) / 2)
		if (at[mid] <= a)
			lo = mid
		else
			hi = mid - 1
	}
	return nsym > 0 && a >= at[lo] && a < at[lo] + size[lo] ? lo : 0
}

# "(7) name" or "(7)" after the equals sign
function name(table, s,  id, sp) {
	sub(/^[^=]*=/, "", s)
	sp = index(s, " ")
	if (sp == 0)
		return names[table, s]
	id = substr(s, 1, sp - 1)
	names[table, id] = substr(s, sp + 1)
	return names[table, id]
}

function address(s) {
	if (s ~ /^0x/)
		pos = hex(s)
	else if (s ~ /^\+/ || s ~ /^-/)
		pos += s
	else if (s != "*")
		pos = s + 0
	return pos
}

# The threads of the file just read go where they belong.
function finish(  k, part, role) {
	if (file == "")
		return
	if ("hb_send" in ran)
		role = "tx"
	else if ("hb_input" in ran)
		role = "rx"
	else if (interrupts)
		role = nisr++ == 0 ? "tx" : "rx"
	if (role != "")
		for (k in cost) {
			split(k, part, SUBSEP)
			total[role, part[1]] += cost[k]
			if (part[2] != "")
				by[role " " part[2]] += cost[k]
		}
	split("", cost)
	split("", ran)
	interrupts = 0
}

NR == FNR {
	n++
	saddr[n] = hex($1)
	line[n] = $0
	next
}

FNR == 1 {
	if (!sorted) {
		# Ascending already but for the modules' order: insertion.
		for (i = 1; i <= n; i++) {
			for (j = i; j > 1 && at[j - 1] > saddr[i]; j--) {
				at[j] = at[j - 1]
				text[j] = text[j - 1]
			}
			at[j] = saddr[i]
			text[j] = line[i]
		}
		nsym = n
		for (i = 1; i <= nsym; i++) {
			split(text[i], f, " ")
			size[i] = f[2]
			module[i] = f[3]
			func_[i] = f[4]
		}
		sorted = 1
	}
	finish()
	file = FILENAME
	pos = 0
	call = 0
	# The numbers of names begin anew in each file.
	split("", names)
}

/^cfn=/ { callee = name("fn", $0); next }
/^fn=/ { fn = name("fn", $0); next }
/^cob=/ { name("ob", $0); next }
/^ob=/ { ob = name("ob", $0); next }
/^calls=/ { call = 1; next }
/^[0-9+*-]/ {
	a = address($1)
	s = find(a)
	m = s ? module[s] : ""
	if (call) {
		call = 0
		if (callee ~ /mem(cpy|move|set|cmp)/ && (m ~ /^(hv_|vmbus)/ ||
		    (m == "" && fn ~ /^kpi_m_copy(data|back)/))) {
			cost["copy"] += $3
			cost["kernel"] -= $3
			if (functions)
				cost["copy-in", (s ? m "`" func_[s] : fn) \
				    ">memcpy"] += $3
		}
		next
	}
	if (s && m == "hnbench.ko") {
		ran[func_[s]] = 1
		next
	}
	if (s) {
		cost["driver", functions ? m "`" func_[s] : ""] += $3
		if (func_[s] ~ /isr|handle_intr/)
			interrupts = 1
	} else
		cost["kernel", functions ? "kldrun`" fn : ""] += $3
}

END {
	finish()
	split("driver copy kernel", g, " ")
	split("tx rx", r, " ")
	for (i = 1; i <= 2; i++)
		for (j = 1; j <= 3; j++)
			printf "%s %s %d\n", r[i], g[j], total[r[i], g[j]]
	for (k in by)
		printf "%s %d\n", k, by[k]
}
