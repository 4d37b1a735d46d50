"""The Virtual Router Redundancy Protocol, versions 2 and 3: packets and one virtual router without I/O."""
