#!/bin/sh
# Called by dhclient at every event: sets the address and says in RUI_LAB_EVENTS what happened.
case "$reason" in
    PREINIT) ip link set "$interface" up ;;
    BOUND | RENEW | REBIND | REBOOT)
        ip -4 addr replace "$new_ip_address/$RUI_LAB_PREFIX" dev "$interface" ;;
    RELEASE | EXPIRE | FAIL | STOP) ip -4 addr flush dev "$interface" ;;
esac
echo "$reason ${new_ip_address:--} ${new_dhcp_lease_time:--} ${new_dhcp_server_identifier:--}" >> "$RUI_LAB_EVENTS"
