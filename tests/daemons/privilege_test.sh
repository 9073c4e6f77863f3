# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Who the daemons are while they work: what reads the host's bytes is nobody,
# in a sandbox; what is root reads none.

ENGINE=kld

daemons=$top/build/daemons
who=$(id -un _hyperv 2>/dev/null || echo nobody)

# status PID FIELD: of a process, as the kernel has it
status() { awk -v f="$2:" '$1 == f { $1 = ""; print substr($0, 2) }' "/proc/$1/status"; }

# confined PID NAME: user and group four times, one group, a filter, no way up
confined() {
	u=$(id -u "$who") g=$(id -g "$who")
	echo "$2: uid $(status "$1" Uid), gid $(status "$1" Gid), groups $(status "$1" Groups), seccomp $(status "$1" Seccomp), capabilities $(status "$1" CapEff)"
	[ "$(status "$1" Uid)" = "$u $u $u $u" ] || atf_fail "$2: user"
	[ "$(status "$1" Gid)" = "$g $g $g $g" ] || atf_fail "$2: group"
	[ "$(status "$1" Groups)" = "$g" ] || atf_fail "$2: other groups"
	[ "$(status "$1" Seccomp)" = 2 ] || atf_fail "$2: no filter"
	[ "$(status "$1" NoNewPrivs)" = 1 ] || atf_fail "$2: may exec a way up"
	[ "$(status "$1" CapEff)$(status "$1" CapPrm)" = \
	    00000000000000000000000000000000 ] || atf_fail "$2: capabilities"
}
privileged() {
	echo "$2: uid $(status "$1" Uid), seccomp $(status "$1" Seccomp)"
	[ "$(status "$1" Uid)" = "0 0 0 0" ] || atf_fail "$2: user"
}
suspended_is() {
	[ "$(timeout 60 "$KLDRUN" --dir vm sysctl hw.ufstest.suspended)" = \
	    "hw.ufstest.suspended: $1" ]
}
ended() { ! grep -qsv '^[0-9]* (.*) Z' "/proc/$1/stat"; }

# A guest that has file systems to freeze, and its three daemons.
start() {
	mkdir -p mods root
	cp "$MODULES"/*.ko "$top/build/tests/daemons/ufstest.ko" mods/
	printf '1 ufs rw /\n2 ufs rw /var\n' >root/mounts
	daemon_dir in
	MODULES=$PWD/mods VM_WAIT='' vm_start vm
	for d in hv_kvp_dev hv_fsvss_dev hv_fcopy_dev ufssuspend; do
		wait_for 30 $d test -S vm/dev/$d || atf_fail "no $d"
	done
	"$daemons/hv_kvp_daemon" -n -P "$PWD/kvp.pid" -D "$PWD/pool" \
	    -f vm/dev/hv_kvp_dev -k vm >kvp.log 2>&1 &
	kvp=$!
	"$daemons/hv_fcopy_daemon" -n -P "$PWD/fcopy.pid" \
	    -f vm/dev/hv_fcopy_dev "$PWD/in" >fcopy.log 2>&1 &
	fcopy=$!
	vss_start
	wait_for 20 kvp grep -q serving kvp.log || atf_fail "$(cat kvp.log)"
	wait_for 20 fcopy grep -q 'files go' fcopy.log || atf_fail "$(cat fcopy.log)"
}
vss_start() {
	"$daemons/hv_vss_daemon" -n -P "$PWD/vss.pid" -f vm/dev/hv_fsvss_dev \
	    -u vm/dev/ufssuspend -R "$PWD/root" >vss.log 2>&1 &
	vss=$!
	wait_for 20 vss grep -q ready vss.log || atf_fail "$(cat vss.log)"
	requests=$(pgrep -P $vss)
}
stop() {
	kill $kvp $fcopy $vss
	wait $kvp || atf_fail "hv_kvp_daemon ended with $?"
	wait $fcopy || atf_fail "hv_fcopy_daemon ended with $?"
	wait $vss || atf_fail "hv_vss_daemon ended with $?"
	wait_for 20 "hv_vss_daemon's other part" ended "$requests" ||
	    atf_fail "it stays"
	vm_stop vm
}
needs_root() { [ "$(id -u)" -eq 0 ] || atf_skip "not root: nothing to give up"; }

new_case users "each daemon's user and sandbox, before and after it has worked"
users_body() {
	needs_root
	start
	for i in before after; do
		confined $kvp "hv_kvp_daemon"
		privileged "$(pgrep -P $kvp)" "hv_netconf"
		confined $fcopy "hv_fcopy_daemon"
		privileged $vss "hv_vss_daemon, guard"
		confined "$requests" "hv_vss_daemon, requests"
		[ $i = before ] || break
		head -c 100000 /dev/urandom >one
		atf_check -o ignore "$HVK" ctl --dir vm copy one
		cmp one in/one || atf_fail "another file"
		[ "$(stat -c %U in/one)" = "$who" ] || atf_fail "the file's owner"
		ctl vm kvp set key value || atf_fail "kvp set"
		atf_check -o match:OSName "$HVK" ctl --dir vm kvp list
		[ "$(stat -c '%U %a' pool/.kvp_pool_0)" = "$who 600" ] ||
		    atf_fail "the pool's owner"
		[ "$(stat -c '%U %a' pool)" = "$who 700" ] || atf_fail "the pools'"
		atf_check -o ignore "$HVK" ctl --dir vm backup freeze
		suspended_is 6 || atf_fail "not frozen"
		# Neither has what the other must not have.
		[ -z "$(pgrep -P "$requests")" ] || atf_fail "a child of the requests"
		atf_check -o ignore "$HVK" ctl --dir vm backup thaw
		wait_for 20 "the thaw" suspended_is 0 || atf_fail "not thawed"
	done
	stop
}

new_case parts "hv_vss_daemon: whichever part dies while frozen, all is thawed and both end" stor.backup
parts_body() {
	needs_root
	start
	n=0
	while [ $n -lt 6 ]; do
		atf_check -o ignore "$HVK" ctl --dir vm backup freeze
		suspended_is 6 || atf_fail "not frozen"
		case $((n % 3)) in
		0) victim=$requests ;;
		1) victim=$vss ;;
		2) victim=$(pgrep -P $vss | grep -vx "$requests") ;;
		esac
		kill -9 "$victim" || atf_fail "round $n: who?"
		wait_for 20 "the thaw" suspended_is 0 || atf_fail "round $n stays frozen"
		if [ $((n % 3)) -eq 2 ]; then
			# The freezer alone: the daemon goes on, the backup does not.
			atf_check -s exit:1 -e not-empty "$HVK" ctl --dir vm backup thaw
		else
			wait_for 20 "the end" ended $vss || atf_fail "the guard stays"
			wait_for 20 "the end" ended "$requests" || atf_fail "the requests stay"
			wait $vss || true
			vss_start
			! "$HVK" ctl --dir vm backup thaw >/dev/null 2>&1 ||
			    atf_fail "round $n: a good backup"
		fi
		n=$((n + 1))
	done
	stop
	echo "figure: stor.backup either part of hv_vss_daemon or its freezer killed $n times while frozen, thawed every time"
}

new_case denied "directories and users that cannot be: a line, and no start"
denied_body() {
	needs_root
	mkdir roots pool
	atf_check -s exit:1 -e match:"roots: Permission denied for user $who" \
	    "$daemons/hv_fcopy_daemon" -n -P "$PWD/p" -f /dev/null "$PWD/roots"
	[ -z "$(ls -A roots)" ] || atf_fail "something was made there"
	for d in hv_kvp_daemon hv_fcopy_daemon hv_vss_daemon; do
		atf_check -s exit:1 -e match:'there is no user absent' \
		    "$daemons/$d" -n -P "$PWD/p" -U absent -f /dev/null
	done
	# A pool that is another file too stays what it is.
	echo secret >other
	chmod 640 other
	ln other pool/.kvp_pool_3
	atf_check -s exit:1 -e match:'pool: Too many links' \
	    "$daemons/hv_kvp_daemon" -n -P "$PWD/p" -D "$PWD/pool" -f /dev/null
	atf_check -o inline:'root 640\n' stat -c '%U %a' other
}

atf_init_test_cases() { add_cases; }
