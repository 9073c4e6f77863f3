#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# record.sh: stands for ifconfig(8), sysrc(8), route(8), resolvconf(8),
# service(8) and zpool(8) of FreeBSD below ROOT: writes its arguments, one to a
# line, to ROOT/argv, fails when ROOT/fail names it, and does with ip(8) or a
# text file what the real one would.  Installed as ROOT/sbin/ifconfig and so on.
root=$(cd "$(dirname "$0")/.." && pwd)
case $root in
*/usr) root=${root%/usr} ;;
esac
name=$(basename "$0")
{
	printf '%s' "$name"
	for a; do printf ' <%s>' "$a"; done
	printf '\n'
} >>"$root/argv"
# fail, once: "NAME" the next time, "NAME WORD" when that is an argument.
if [ -s "$root/fail" ]; then
	read -r who word <"$root/fail"
	if [ "$who" = "$name" ]; then
		for a; do
			[ "$a" != "${word:-$a}" ] || {
				rm "$root/fail"
				exit 1
			}
		done
	fi
fi

# bits MASK: the length of a dotted mask
bits() {
	n=0
	for o in $(echo "$1" | tr . ' '); do
		while [ "$o" -gt 0 ]; do n=$((n + o % 2)) o=$((o / 2)); done
	done
	echo $n
}

ifconfig() {
	dev=$1 fam=$2
	case $fam in
	up) ip link set "$dev" up ;;
	inet)
		if [ "$4" = -alias ]; then
			p=$(ip -4 -o addr show dev "$dev" |
			    awk -v a="$3/" 'index($4, a) == 1 { print $4 }')
			ip addr del "$p" dev "$dev"
		else
			ip addr add "$3/$(bits "$5")" dev "$dev"
		fi
		;;
	inet6)
		case $3 in
		accept_rtadv) return 0 ;;
		esac
		if [ "$4" = -alias ]; then
			p=$(ip -6 -o addr show dev "$dev" |
			    awk -v a="$3/" 'index($4, a) == 1 { print $4 }')
			ip addr del "$p" dev "$dev"
		else
			ip addr add "$3/$5" dev "$dev" nodad
		fi
		;;
	esac
}

route() {
	fam=-4
	[ "$3" != -inet6 ] || fam=-6
	case $5 in
	*%*) set -- "$1" "$2" "$3" "$4" "${5%%%*}" dev "${5#*%}" ;;
	*) set -- "$1" "$2" "$3" "$4" "$5" ;;
	esac
	case $2 in
	change)
		ip $fam route show default | grep -q . || return 1
		ip $fam route replace default via "$5" ${6+"$6" "$7"}
		;;
	add)
		if ip $fam route show default | grep -q .; then
			ip $fam route add default via "$5" ${6+"$6" "$7"} \
			    metric 99
		else
			ip $fam route add default via "$5" ${6+"$6" "$7"}
		fi
		;;
	delete) ip $fam route del default via "$5" ${6+"$6" "$7"} ;;
	esac
}

# one KEY VALUE: into $file
one() {
	grep -v "^$1=" "$file" >"$file.new"
	printf '%s="%s"\n' "$1" "$2" >>"$file.new"
	mv "$file.new" "$file"
}
value() { sed -n "s/^$1=\"\(.*\)\"\$/\1/p" "$file"; }

sysrc() {
	[ "$1" = -f ] || return 64
	file=$2
	shift 2
	touch "$file"
	if [ "$1" = -x ]; then
		shift
		for a; do
			grep -q "^$a=" "$file" || return 1
			grep -v "^$a=" "$file" >"$file.new"
			mv "$file.new" "$file"
		done
		return 0
	fi
	for a; do
		key=${a%%=*} val=${a#*=}
		case $key in
		*+) key=${key%+}
			case " $(value "$key") " in
			*" $val "*) continue ;;
			esac
			old=$(value "$key")
			one "$key" "${old:+$old }$val" ;;
		*-) key=${key%-}
			new=
			for w in $(value "$key"); do
				[ "$w" = "$val" ] || new="${new:+$new }$w"
			done
			one "$key" "$new" ;;
		*) one "$key" "$val" ;;
		esac
	done
}

resolvconf() {
	file=$root/etc/resolvconf.conf
	for s in $(value name_servers); do echo "nameserver $s"; done \
	    >"$root/etc/resolv.conf"
}

service() { :; }
zpool() { :; }

"$name" "$@"
