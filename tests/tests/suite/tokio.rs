//! In memory and on tokio's clock, paused.

use mstr_suite::Lab;

mstr_suite::suite_on!(Lab::on_tokio);
