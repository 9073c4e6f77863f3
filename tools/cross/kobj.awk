# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# kobj.awk: turn a short description of a kobj(9) interface into the header or
# the C file that FreeBSD's own build would generate for it.
#
#	awk -v kind=h -f kobj.awk device.desc >device_if.h
#	awk -v kind=c -f kobj.awk device.desc >device_if.c
#
# A description has one statement a line; a line that begins with white space
# continues the one before, "#" begins a comment:
#
#	interface NAME
#	include <sys/bus.h>		for the C file
#	forward struct rman		for the header
#	method TYPE NAME(ARGS)		the first argument is the object
#	static TYPE NAME(ARGS)		the first argument is the driver
#
# and after a method one of
#
#	default FUNCTION		used when a class has no method of its own
#	returns VALUE			a default that does only this
#
# Source of facts: kobj(9), <sys/kobj.h>.

function fail(msg) {
	printf("%s:%d: %s\n", FILENAME, FNR, msg) >"/dev/stderr"
	bad = 1
	exit(1)
}

function upper(s) { return toupper(s) }

# The last word of "const char *name" is the argument's name.
function argname(decl) {
	sub(/^.*[ \t*]/, "", decl)
	return decl
}

function flush_statement(	s, word, m, tail, sig, n, i, type, name, args) {
	s = statement
	statement = ""
	if (s == "")
		return
	word = s
	sub(/[ \t].*$/, "", word)
	tail = s
	sub(/^[^ \t]+[ \t]+/, "", tail)
	if (word == "interface") {
		iface = tail
	} else if (word == "include") {
		includes[++nincludes] = tail
	} else if (word == "forward") {
		forwards[++nforwards] = tail
	} else if (word == "method" || word == "static") {
		if (match(tail, /\)/) == 0)
			fail("no argument list: " s)
		sig = substr(tail, 1, RSTART - 1)
		tail = substr(tail, RSTART + 1)
		i = index(sig, "(")
		args = substr(sig, i + 1)
		sig = substr(sig, 1, i - 1)
		name = argname(sig)
		type = substr(sig, 1, length(sig) - length(name))
		sub(/[ \t]+$/, "", type)
		m = ++nmethods
		m_static[m] = word == "static"
		m_name[m] = name
		m_type[m] = type
		m_args[m] = args
		n = split(args, list, /[ \t]*,[ \t]*/)
		m_call[m] = ""
		for (i = 1; i <= n; i++)
			m_call[m] = m_call[m] (i > 1 ? ", " : "") argname(list[i])
		m_object[m] = argname(list[1])
		sub(/^[ \t]+/, "", tail)
		if (tail ~ /^default /) {
			sub(/^default /, "", tail)
			m_default[m] = tail
		} else if (tail ~ /^returns /) {
			sub(/^returns /, "", tail)
			m_default[m] = iface "_" name "_default"
			m_returns[m] = tail
		} else if (tail != "")
			fail("cannot read: " tail)
		else
			m_default[m] = "kobj_error_method"
	} else
		fail("unknown statement: " word)
}

{ sub(/#.*/, ""); sub(/[ \t]+$/, "") }
/^$/ { next }
/^[ \t]/ { sub(/^[ \t]+/, ""); statement = statement " " $0; next }
{ flush_statement(); statement = $0 }

function header(	m, id, op, call) {
	printf("/* Made by kobj.awk: do not edit. */\n")
	printf("#ifndef _%s_if_h_\n#define _%s_if_h_\n\n", iface, iface)
	for (m = 1; m <= nforwards; m++)
		printf("%s;\n", forwards[m])
	for (m = 1; m <= nmethods; m++) {
		id = iface "_" m_name[m]
		op = upper(iface) "_" upper(m_name[m])
		printf("\nextern struct kobjop_desc %s_desc;\n", id)
		printf("typedef %s %s_t(%s);\n", m_type[m], id, m_args[m])
		printf("static __inline %s\n%s(%s)\n{\n", m_type[m], op, m_args[m])
		printf("\tkobjop_t _m;\n")
		if (m_static[m])
			printf("\n\tKOBJOPLOOKUP(%s->ops, %s);\n", m_object[m], id)
		else
			printf("\n\tKOBJOPLOOKUP(((kobj_t)%s)->ops, %s);\n",
			    m_object[m], id)
		call = "((" id "_t *)_m)(" m_call[m] ")"
		if (m_type[m] != "void")
			call = "return (" call ")"
		printf("\t%s;\n}\n", call)
	}
	printf("\n#endif /* _%s_if_h_ */\n", iface)
}

function source(	m, id) {
	printf("/* Made by kobj.awk: do not edit. */\n")
	printf("#include <sys/param.h>\n#include <sys/queue.h>\n")
	printf("#include <sys/kernel.h>\n#include <sys/kobj.h>\n")
	for (m = 1; m <= nincludes; m++)
		printf("#include %s\n", includes[m])
	printf("#include \"%s_if.h\"\n", iface)
	for (m = 1; m <= nmethods; m++) {
		id = iface "_" m_name[m]
		if (m in m_returns)
			default_function(m)
		printf("\nstruct kobjop_desc %s_desc = {\n", id)
		printf("\t0, { &%s_desc, (kobjop_t)%s }\n};\n", id, m_default[m])
	}
}

function default_function(m,	value) {
	value = m_returns[m] == "nothing" ? "" : " (" m_returns[m] ")"
	printf("\nstatic %s\n%s(%s)\n{\n\n\treturn%s;\n}\n", m_type[m],
	    m_default[m], unused(m_args[m]), value)
}

function unused(args,	n, i, list, out) {
	n = split(args, list, /[ \t]*,[ \t]*/)
	for (i = 1; i <= n; i++)
		out = out (i > 1 ? ", " : "") list[i] " __unused"
	return out
}

END {
	if (bad)
		exit(1)
	flush_statement()
	if (iface == "" || nmethods == 0)
		fail("no interface described")
	if (kind == "h")
		header()
	else if (kind == "c")
		source()
	else
		fail("say -v kind=h or -v kind=c")
}
