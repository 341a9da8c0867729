#![no_main]

landfall_fuzz::fuzz!("epoch_index");
