#![no_main]

landfall_fuzz::fuzz!("etcd_value");
