# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# The rc.d scripts under a stand-in for rc.subr, with the real daemons: what
# service(8) would do.

daemons=$top/build/daemons

# use SCRIPT: a copy that finds our rc.subr and programs.
use() {
	sed -e "s|/etc/rc.subr|$top/tests/daemons/rc.subr|" \
	    -e "s|/usr/sbin/|$daemons/|" -e "s|/var/run/|$PWD/|" \
	    "$top/libexec/rc/rc.d/$1" >"rc_$1"
	grep -q "$daemons/" "rc_$1" || atf_fail "no command in $1"
	RC_CONF=$PWD/rc.conf
	export RC_CONF
}
rc() { timeout 60 sh "rc_$1" "$2"; }
not_running() { ! grep -qsv '^[0-9]* (.*) Z' "/proc/$1/stat"; }

new_case linted "shellcheck of every rc.d script"
linted_body() {
	for f in "$top"/libexec/rc/rc.d/hv_*; do
		atf_check shellcheck -s sh -e SC1091,SC2034 "$f"
		[ -x "$f" ] || atf_fail "$f is not executable"
	done
	atf_check shellcheck -s sh -e SC1090,SC2034,SC2154 \
	    "$top/tests/daemons/rc.subr"
}

new_case no_device "without the device nothing starts and nothing is wrong"
no_device_body() {
	for d in hv_kvp_daemon hv_vss_daemon hv_fcopy_daemon; do
		use $d
		echo "${d}_device=$PWD/none" >rc.conf
		atf_check -o match:"no $PWD/none" sh rc_$d start
		atf_check sh rc_$d quietstart
		atf_check -s exit:1 -o match:'not running' sh rc_$d status
	done
}

new_case disabled "the knobs: kvp and vss run unless told not to, fcopy if told to"
disabled_body() {
	for d in hv_kvp_daemon hv_vss_daemon; do
		use $d
		: >rc.conf
		atf_check -o inline:"${d}_enable=\"YES\"\n" sh rc_$d rcvar
		echo "${d}_enable=NO ${d}_device=/dev/null" >rc.conf
		atf_check -s exit:1 -o match:"Set ${d}_enable to YES" \
		    sh rc_$d start
		atf_check -s exit:1 sh rc_$d quietstart
	done
	use hv_fcopy_daemon
	: >rc.conf
	atf_check -o inline:'hv_fcopy_daemon_enable="NO"\n' \
	    sh rc_hv_fcopy_daemon rcvar
	echo "hv_fcopy_daemon_device=/dev/null" >rc.conf
	atf_check -s exit:1 -o match:'onestart' sh rc_hv_fcopy_daemon start
}

new_case life "start, status, restart, stop of a daemon with a kernel's device"
life_body() {
	mkdir -p k
	daemon_dir files
	"$KLDRUN" --dir k "$top/build/tests/kldrun/cdevtest.ko" >k/log 2>&1 &
	kernel=$!
	wait_for 30 kldrun test -S k/kld.sock || atf_fail "no kldrun"
	use hv_fcopy_daemon
	cat >rc.conf <<-END
	hv_fcopy_daemon_enable=YES
	hv_fcopy_daemon_device=$PWD/k/dev/cdevecho
	hv_fcopy_daemon_flags="-P $PWD/hv_fcopy_daemon.pid"
	hv_fcopy_daemon_dirs=$PWD/files
	END
	atf_check -o inline:'Starting hv_fcopy_daemon.\n' \
	    sh rc_hv_fcopy_daemon start
	wait_for 10 "the pid file" test -s hv_fcopy_daemon.pid || atf_fail pid
	pid=$(cat hv_fcopy_daemon.pid)
	atf_check -o match:"is running as pid $pid" sh rc_hv_fcopy_daemon status
	atf_check -s exit:1 -o match:'already running' \
	    sh rc_hv_fcopy_daemon start
	# Another of the same name is refused by the daemon itself.
	atf_check -s exit:1 -e match:"is running already, pid $pid" \
	    "$daemons/hv_fcopy_daemon" -P "$PWD/hv_fcopy_daemon.pid" \
	    -f "$PWD/k/dev/cdevecho" "$PWD/files"
	atf_check -o ignore sh rc_hv_fcopy_daemon restart
	wait_for 10 "another pid" sh -c \
	    "test -s hv_fcopy_daemon.pid && ! grep -qx $pid hv_fcopy_daemon.pid" ||
	    atf_fail "the same pid"
	pid=$(cat hv_fcopy_daemon.pid)
	atf_check -o ignore sh rc_hv_fcopy_daemon stop
	wait_for 10 "the end" not_running "$pid" || atf_fail "it runs on"
	# devd(8): the device goes, the daemon ends by itself.
	atf_check -o ignore sh rc_hv_fcopy_daemon start
	wait_for 10 "the pid file" test -s hv_fcopy_daemon.pid || atf_fail pid
	pid=$(cat hv_fcopy_daemon.pid)
	kill -TERM $kernel
	wait $kernel || atf_fail "kldrun: $(cat k/log)"
	wait_for 10 "the end" not_running "$pid" || atf_fail "it outlives"
}

new_case usage "a wrong option is a line and status 64"
usage_body() {
	for d in hv_kvp_daemon hv_vss_daemon hv_fcopy_daemon lsvmbus \
	    hv_netconf; do
		atf_check -s exit:64 -e match:"usage: $d" "$daemons/$d" -?
	done
	atf_check -s exit:64 -e match:'usage' "$daemons/hv_kvp_daemon" extra
	atf_check -s exit:64 -e match:'-t: 1 to 900' \
	    "$daemons/hv_vss_daemon" -t 901
	atf_check -s exit:1 -e match:'No such file' "$daemons/hv_vss_daemon" \
	    -n -P "$PWD/pid" -f /nonexistent
}

new_case devd "the devd rules name the devices and the scripts that there are"
devd_body() {
	conf=$top/sbin/devd/hyperv.conf
	for pair in hv_kvp_dev:hv_kvp_daemon hv_fsvss_dev:hv_vss_daemon \
	    hv_fcopy_dev:hv_fcopy_daemon; do
		for type in CREATE:quietstart DESTROY:forcestop; do
			awk -v dev="\"${pair%%:*}\";" -v type="\"${type%%:*}\";" \
			    -v act="\"service ${pair#*:} ${type#*:}\";" '
			/^notify/ { d = t = a = 0 }
			$2 == "\"cdev\"" && $3 == dev { d = 1 }
			$2 == "\"type\"" && $3 == type { t = 1 }
			$1 == "action" && index($0, act) { a = 1 }
			/^}/ && d && t && a { found = 1 }
			END { exit !found }' "$conf" || atf_fail "$pair $type"
		done
		grep -rq "\"${pair%%:*}\"" "$top"/sys/dev/hyperv/utilities/*.h ||
		    atf_fail "no header has ${pair%%:*}"
		[ -x "$top/libexec/rc/rc.d/${pair#*:}" ] || atf_fail "$pair"
	done
}

atf_init_test_cases() { add_cases; }
