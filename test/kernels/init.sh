#!/bin/busybox sh
# The first process of a test machine: does every act while the agent watches and writes what the agent says to the second serial port. What
# it means is judged outside. Then again without ftrace, and without cgroups as well, so that sensors must fall back. Started with another
# number in a changed root of the machine at hand, it does the acts once and writes to /results.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /var/lib
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TMPDIR=/run
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t tracefs tracing /sys/kernel/tracing
mount -t securityfs security /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
if [ $$ = 1 ]; then
	ip link set lo up
	stty -F /dev/ttyS1 raw -echo
	exec 3>/dev/ttyS1
else
	exec 3>/results
fi

say() { printf '@@ %s\n' "$*" >&3; }

# wait_for SECONDS COMMAND…: until it succeeds; the agent gone or the time over is the end of waiting, and shows in the results.
wait_for() {
	local tries=$(($1 * 5))
	shift
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] && [ -d "/proc/$agent" ] || return 1
		usleep 200000
	done
}

# A thousand tries of each: their alerts are counted, not written out.
MEASURED='"rule":{"id":"latency-'
measure() {
	mkdir /tmp/latency
	for rung in /latency/*; do
		# Of denials only so many are told in a second: each rung has one of its own.
		[ "${rung%.floor}" != "$rung" ] || sleep 1
		say "latency ${rung##*/} $(sh "$rung" 2>&1 | tail -n 1)"
	done
}

# Root switches hooks in functions off under the agent: a kernel that refuses as long as there are some keeps them; elsewhere what needs none must
# stand in, of sensors and of denials.
switch_hooks_off() {
	if ! echo 0 >/proc/sys/kernel/ftrace_enabled; then
		say "hooks kept"
		return
	fi
	wait_for 60 grep -q 'without function hooks' /run/agent/log
	: >/tmp/stand-in
	chown 77 /tmp/stand-in
	wait_for 30 grep -q '"rule":{"id":"stand-in"' /run/agent/alerts && say "hooks replaced $(sh /latency/deny-connect 2>&1 | tail -n 1)"
}

run_pass() {
	# What was compiled in the first pass is compiled: half of the whole time of an emulated machine.
	[ -d /run/agent/data/cache ] && mv /run/agent/data/cache /run/cache
	rm -rf /tmp/acts /run/agent
	mkdir -p -m 700 /tmp/acts /run/agent/data
	[ -d /run/cache ] && mv /run/cache /run/agent/data/cache
	say "pass $1"
	say "doctor $(kestrel doctor --json)"
	kestrel run --rules /rules --gate-mount none --data /run/agent/data --listen 127.0.0.1:0 --json >/run/agent/alerts 2>/run/agent/log &
	agent=$!
	wait_for 120 grep -q ' armed ' /run/agent/log
	cd /tmp/acts
	for act in /acts/*; do
		sh "$act" >/run/agent/output 2>&1 </dev/null
		say "act ${act##*/} $? $(head -n 1 /run/agent/output)"
	done
	wait_for 60 grep -q '"rule":{"id":"last"' /run/agent/alerts
	cd /
	if [ "$1" = preferred ]; then
		measure
		switch_hooks_off
	fi
	kill -TERM $agent
	wait $agent
	say "exit $?"
	sed 's/^/@@ log /' /run/agent/log >&3
	grep -v "$MEASURED" /run/agent/alerts | sed 's/^/@@ alert /' >&3
	grep "$MEASURED" /run/agent/alerts | grep '"outcome":"done"' | sed "s/.*$MEASURED/@@ told /; s/\".*//" | uniq >&3
}

if [ $$ != 1 ]; then
	run_pass here
	say "done 0"
	exit
fi
[ ! -e /checks.sh ] || . /checks.sh
run_pass preferred
echo 0 >/proc/sys/kernel/ftrace_enabled
run_pass without-ftrace
umount /sys/fs/cgroup
run_pass without-cgroup
say "done $(cut -d' ' -f1 /proc/uptime)"
poweroff -f
