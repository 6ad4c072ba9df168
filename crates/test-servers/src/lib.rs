//! Real servers for the tests: each started privately, on a free port with its own data folder and configuration, and stopped
//! when its test process ends, however that happens.
