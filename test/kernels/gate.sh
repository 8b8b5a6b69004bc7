# Read by the first process of a test machine, in place of the acts: every mount of that machine at the gate. What is denied, what runs, and that
# nothing hangs when the agent is stopped, goes on, or is killed in the middle of a verdict.
[ $$ = 1 ] || exit 1

# check NAME COMMAND…: what the command says of itself is a line of the results.
check() {
	local name=$1
	shift
	if "$@" >/run/check 2>&1; then say "check $name ok"; else say "check $name failed: $(tail -n 1 /run/check)"; fi
}

not() { ! "$@"; }
said() { grep -q "$1" /run/log; }

# Emulated machines are slow: nobody is to be let go only for that.
start_agent() {
	kestrel run --rules /rules --data /run/data --listen 127.0.0.1:0 --gate-deadline 20000 --json "$@" >/run/alerts 2>/run/log &
	agent=$!
	wait_for 240 said ' armed '
}

mkdir -p -m 700 /run/data
# Under its own name: busybox is the program it is called.
place() { mkdir -p "$1" && cp /bin/busybox "$1/busybox"; }
mkdir /later /tmp/bound
for name in allowed denied other; do place /tmp/$name; done
printf '#!/bin/sh\ntouch /run/script-ran\n' >/tmp/script
chmod 755 /tmp/script
check before /tmp/denied/busybox true
start_agent
check every-mount said 'held at the gate mounts="/ .*/tmp.*"'
check allowed /tmp/allowed/busybox true
check denied not /tmp/denied/busybox touch /run/ran
check never-began [ ! -e /run/ran ]
check script not /tmp/script
check script-never-began [ ! -e /run/script-ran ]
check interpreter-alone sh /tmp/script
mount --bind /tmp /tmp/bound
check bind-mount not /tmp/bound/denied/busybox true
umount /tmp/bound
mount -t tmpfs later /later
place /later/denied
check later-mount wait_for 60 not /later/denied/busybox true
place /tmp/root/denied
check changed-root not chroot /tmp/root /denied/busybox true
check namespace not unshare -m /tmp/denied/busybox true
check told wait_for 60 grep -q '"outcome":"done","means":"fanotify"' /run/alerts
kill -STOP $agent
check stopped-goes-on /tmp/denied/busybox true
kill -CONT $agent
check decides-again wait_for 60 not /tmp/denied/busybox true
kill -STOP $agent
/tmp/denied/busybox touch /run/let-go &
waiting=$!
wait_for 10 grep -q fanotify /proc/$waiting/stack
check waits [ ! -e /run/let-go ]
kill -KILL $agent
wait $waiting
check killed-lets-go [ -e /run/let-go ]
agent=1
check no-gatekeeper-left wait_for 60 not pidof kestrel
start_agent --gate-fail closed
check denied-again not /tmp/denied/busybox true
kill -STOP $agent
check closed not /tmp/other/busybox true
kill -CONT $agent
check open-again wait_for 60 /tmp/other/busybox true
kill -TERM $agent
wait $agent
check ended-in-order [ $? = 0 ]
check after /tmp/denied/busybox true
sed 's/^/@@ log /' /run/log >&3
say "done $(cut -d' ' -f1 /proc/uptime)"
poweroff -f
