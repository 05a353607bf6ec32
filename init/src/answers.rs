//! What the console's commands show: tables, made from what the servers say now.

mod banks;
mod invariants;
mod net;
mod people;
mod processes;
