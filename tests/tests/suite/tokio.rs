//! In memory and on tokio's clock, paused.

use mstr_tests::Lab;

mstr_tests::suite_on!(Lab::on_tokio);
