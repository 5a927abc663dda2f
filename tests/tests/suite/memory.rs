//! In memory and in virtual time.

use mstr_suite::Lab;

mstr_suite::suite_on!(Lab::in_memory);
