//! In memory and in virtual time.

use mstr_tests::Lab;

mstr_tests::suite_on!(Lab::in_memory);
