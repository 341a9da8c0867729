//! A simulated world of disks and one volume, for trying crashes by the hundred thousand.
