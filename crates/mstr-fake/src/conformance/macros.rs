//! The list of cases, and what is made of it.

use super::backend::Capability;
use super::case::Case;

/// Hands the list of cases to a macro, after whatever that macro needs besides.
#[doc(hidden)]
#[macro_export]
macro_rules! __with_conformance_cases {
    ([$($callback:tt)+] $($argument:tt)*) => {
        $($callback)+! {
            [$($argument)*]
            bodies: a_body_of_another_length_than_declared_is_an_error [Every],
            bodies: a_body_without_a_length_is_read_to_its_end [Every],
            bodies: a_compressed_body_is_left_as_it_is [Every],
            bodies: a_failing_upload_is_an_error_of_the_body [Every],
            bodies: a_head_is_delivered_before_its_body_begins [EarlyHead],
            bodies: a_large_download_arrives_intact [Every],
            bodies: a_large_upload_arrives_intact [Every],
            bodies: a_slow_reader_holds_the_server_back [Every],
            bodies: a_slow_server_holds_the_upload_back [Every],
            bodies: an_answer_before_the_upload_has_ended_is_delivered [EarlyAnswer],
            bodies: an_upload_of_unknown_length_arrives [Every],
            bodies: bodies_of_every_small_size_arrive [Every],
            bodies: chunked_answers_are_read_with_their_boundaries_forgotten [Every],
            cancel: a_body_dropped_in_its_middle_ends_its_connection [Every],
            cancel: a_request_dropped_during_its_upload_ends_its_connection [Every],
            cancel: a_request_dropped_while_connecting_leaves_the_others_alone [Http2],
            cancel: a_request_dropped_while_the_handshake_hangs_ends_by_its_deadline [Tls],
            cancel: a_request_dropped_while_the_server_is_silent_ends_its_connection [SilentPeerCancel],
            cancel: a_request_dropped_while_the_server_is_silent_ends_by_its_deadline [Every],
            concurrency: a_body_outlives_the_transport [Every],
            concurrency: a_hundred_requests_at_a_time_are_answered [Every],
            concurrency: answers_are_not_mixed_up [Every],
            concurrency: clones_work_from_other_threads [Every],
            connections: a_head_cut_off_at_any_byte_is_interrupted [Every],
            connections: a_head_cut_off_before_its_body_in_chunks_is_interrupted [WholeHeads],
            connections: a_head_that_drips_ends_in_its_time [Every],
            connections: a_limit_of_connections_is_kept_and_every_request_is_answered [ConnectionLimit],
            connections: after_a_late_answer_the_next_request_goes_over_another_connection [Every],
            connections: after_a_late_answer_over_tls_the_next_goes_over_another_connection [Tls],
            connections: endless_interim_answers_end_in_their_time [Every],
            envelope: an_answer_to_head_has_no_body [Every],
            envelope: every_method_arrives [Every],
            envelope: every_status_is_an_answer [Every],
            envelope: headers_keep_their_order_and_their_duplicates [Every],
            envelope: informational_answers_are_passed_over [Every],
            envelope: large_headers_arrive_both_ways [Every],
            envelope: odd_header_lines_fail_no_answer [OddHeaders],
            envelope: paths_are_sent_letter_by_letter [VerbatimPaths],
            envelope: statuses_without_a_body_end_with_their_head [Every],
            envelope: the_address_is_sent_as_it_is [Every],
            envelope: the_host_header_names_host_and_port [Every],
            envelope: values_beyond_ascii_arrive [Every],
            envelope: values_beyond_ascii_are_sent [OpaqueHeaders],
            errors: a_body_cut_short_is_an_error [Every],
            errors: a_chunked_body_cut_short_is_an_error [Every],
            errors: a_connection_closed_before_the_answer_is_interrupted [Every],
            errors: a_connection_reset_before_the_answer_is_interrupted [Every],
            errors: a_connection_reset_in_a_body_is_interrupted [Every],
            errors: a_deadline_in_the_past_sends_nothing [Every],
            errors: a_head_that_stops_in_its_middle_is_late [Every],
            errors: a_host_that_does_not_exist_is_no_connection [Every],
            errors: a_refused_connection_has_not_been_sent [Every],
            errors: a_silent_server_is_late [Every],
            errors: a_stalled_body_is_late [Every],
            errors: an_idle_connection_the_server_closed_a_moment_ago_is_no_loss [PromptReuse],
            errors: an_idle_connection_the_server_closed_is_no_loss [Every],
            errors: errors_hold_no_secret [Every],
            errors: what_is_not_http_is_a_protocol_error [Every],
            extras: a_large_upload_does_not_ask_for_permission [Every],
            extras: an_explicit_length_of_zero_reaches_the_server [Every],
            extras: nothing_is_added_to_a_request [BareRequests],
            extras: nothing_is_added_to_a_request_with_a_body [BareRequests],
            extras: nothing_is_added_to_a_request_that_has_its_usual_headers [Every],
            http2: a_connection_on_which_a_request_was_late_gets_no_other [RetiresLate],
            http2: a_ping_that_is_not_answered_ends_what_waits [Pings],
            http2: a_server_that_takes_one_request_at_a_time_answers_every_request [Http2],
            http2: a_stream_above_the_last_one_of_a_goaway_was_not_sent [TellsUnprocessed],
            http2: a_stream_that_was_refused_was_not_sent [TellsUnprocessed],
            http2: an_orderly_end_after_each_answer_loses_no_request [TellsUnprocessed],
            policy: a_read_that_was_cut_off_on_a_kept_connection_is_not_repeated [SingleReads],
            policy: a_redirect_is_not_followed [Every],
            policy: a_refusal_is_not_repeated [Every],
            policy: a_request_that_was_cut_off_is_not_repeated [Every],
            policy: a_write_that_was_cut_off_on_a_kept_connection_is_not_repeated [Every],
            policy: credentials_in_a_challenge_are_not_sought [Every],
            policy: cookies_are_not_kept [Every],
            proxy: a_forwarded_request_arrives_whole_and_with_nothing_added [HttpProxy],
            proxy: a_proxy_for_a_host_beats_the_one_for_all [HttpProxy],
            proxy: a_proxy_is_spoken_to_over_tls [TlsProxy],
            proxy: a_proxy_that_cannot_be_trusted_is_told_nothing [TlsProxy],
            proxy: a_proxy_that_is_not_there_is_no_connection [HttpProxy],
            proxy: a_server_that_a_proxy_cannot_reach_was_sent_nothing [HttpProxy],
            proxy: a_server_that_a_socks_proxy_cannot_reach_was_sent_nothing [Socks5],
            proxy: a_silent_proxy_is_late_and_nothing_was_sent [HttpProxy],
            proxy: a_silent_proxy_over_tls_is_late_and_nothing_was_sent [TlsProxy],
            proxy: a_silent_socks_proxy_is_late_and_nothing_was_sent [Socks5],
            proxy: a_socks_proxy_gets_its_password [Socks5],
            proxy: a_tunnel_shows_the_proxy_host_and_port_only [HttpProxy],
            proxy: a_whole_session_goes_through_a_tunnel [HttpProxy],
            proxy: a_proxy_that_wants_another_authentication_says_which [HttpProxy],
            proxy: a_wrong_password_is_a_refusal_and_nothing_was_sent [HttpProxy],
            proxy: hosts_that_are_excepted_are_reached_directly [HttpProxy],
            proxy: names_are_looked_up_by_a_socks5h_proxy_and_here_for_a_socks5_one [Socks5],
            proxy: the_password_is_for_the_proxy_and_not_for_the_server [HttpProxy],
            session: a_whole_session [Every],
            session: a_whole_session_over_tls [Tls],
            tls: a_client_certificate_is_shown_to_servers_that_ask [ClientIdentity],
            tls: a_handshake_that_hangs_is_late_and_has_sent_nothing [Tls],
            tls: a_self_signed_certificate_that_was_named_is_trusted_for_its_names [SelfSigned],
            tls: a_server_that_cannot_be_trusted_is_refused_before_anything_is_sent [Tls],
            tls: a_trusted_server_is_reached [Tls],
            tls: http_2_is_spoken_with_servers_that_choose_it [Http2],
            waiting: a_refused_connection_is_told_to_the_waiter [Every],
            waiting: a_started_exchange_ends_by_its_deadline [Every],
            waiting: a_started_exchange_is_answered_once [Every],
            waiting: a_started_exchange_that_is_dropped_leaves_the_others_alone [BoundedWaits],
            waiting: a_wait_ends_in_time_and_another_thread_gets_the_answer [BoundedWaits],
            waiting: what_is_left_to_the_background_is_answered_or_given_up [BoundedWaits],
        }
    };
}

/// Makes one `#[test]` of each case of the transport contract, run against a
/// [`Backend`](crate::conformance::Backend), which is given as an expression.
#[macro_export]
macro_rules! conformance {
    ($backend:expr) => {
        $crate::__with_conformance_cases! { [$crate::__conformance_tests] $backend }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ([$backend:expr] $($module:ident: $case:ident [$needs:ident],)+) => {$(
        #[test]
        fn $case() {
            let name = concat!(stringify!($module), "::", stringify!($case));
            $crate::conformance::run_named($backend, name);
        }
    )+};
}

macro_rules! table {
    ([] $($module:ident: $case:ident [$needs:ident],)+) => {
        /// Every case, in the order of their names.
        #[must_use]
        pub fn cases() -> &'static [Case] {
            const CASES: &[Case] = &[$(Case {
                name: concat!(stringify!($module), "::", stringify!($case)),
                needs: Capability::$needs,
                run: |context| Box::pin(super::$module::$case(context)),
            },)+];
            CASES
        }
    };
}

__with_conformance_cases! { [table] }
