#!/bin/sh
# Called by udhcpc at every event: sets the address and says in RUI_LAB_EVENTS what happened.
case "$1" in
    deconfig) ip -4 addr flush dev "$interface" ;;
    bound | renew) ip -4 addr replace "$ip/$mask" dev "$interface" ;;
esac
echo "$1 ${ip:--} ${lease:--} ${serverid:--}" >> "$RUI_LAB_EVENTS"
