"""Devices, which know frames and bytes and never look at a page table.

`engine` has the transfers and registrations, which is all a device needs to
hold on to a frame that its owner may have left.
"""
