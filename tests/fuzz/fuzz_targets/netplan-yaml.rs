#![no_main]

landfall_fuzz::fuzz!("netplan-yaml");
