#![no_main]

landfall_fuzz::fuzz!("leaf_page");
