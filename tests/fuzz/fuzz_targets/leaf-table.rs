#![no_main]

landfall_fuzz::fuzz!("leaf-table");
