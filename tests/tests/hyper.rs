//! The end-to-end suite over sockets and mstr-hyper.

use mstr_tests::Lab;

mstr_tests::suite_on!(Lab::loopback);
