#![no_main]

landfall_fuzz::fuzz!("catalog_snapshot");
