"""Devices. A device knows frames and bytes; it never looks at a page table.

`engine` has the transfers and registrations, which is all a device needs to
hold on to a frame that its owner may have left.
"""
