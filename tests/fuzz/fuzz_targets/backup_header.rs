#![no_main]

landfall_fuzz::fuzz!("backup_header");
