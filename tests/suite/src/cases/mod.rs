//! The end-to-end suite: each case runs on every face of the fake server, over every transport.

pub mod calls;
pub mod closing;
pub mod encodings;
pub mod opening;
pub mod projects;
pub mod recovery;
pub mod tokens;

use futures_util::future::LocalBoxFuture;

use crate::Lab;

/// A case, to be run from a list.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Group and name.
    pub name: &'static str,
    /// Runs it to its end.
    pub run: fn(Lab) -> LocalBoxFuture<'static, ()>,
}

/// Hands the list of cases to a macro, after whatever that macro needs besides.
#[doc(hidden)]
#[macro_export]
macro_rules! __with_suite_cases {
    ($callback:path, $($argument:tt)*) => {
        $callback! { [$($argument)*]
            calls: a_body_is_streamed_both_ways,
            calls: a_head_request_recovers_too,
            calls: a_post_is_not_repeated_after_a_gateway_s_complaint,
            calls: a_redirect_to_another_origin_is_an_error_that_carries_nothing,
            calls: a_redirect_within_the_origin_is_followed,
            calls: an_absolute_url_elsewhere_is_refused,
            calls: an_error_keeps_everything_the_server_said,
            calls: any_status_can_be_had_raw,
            calls: a_response_says_where_it_comes_from_and_how_long_it_is,
            calls: every_method_reaches_the_server_as_described,
            calls: mistakes_are_reported_before_anything_is_sent,
            calls: the_session_s_headers_cannot_be_replaced,
            closing: a_connection_that_is_closed_stays_closed,
            closing: a_failing_logout_is_told_and_hides_nothing,
            closing: a_scope_closes_on_every_path,
            closing: a_session_borrowed_from_workstation_is_left_alone,
            closing: dropping_the_last_handle_logs_out,
            encodings: a_compressed_answer_arrives_as_it_was,
            encodings: a_compressed_answer_that_is_cut_is_interrupted,
            encodings: an_encoding_that_the_caller_chose_is_left_to_the_caller,
            encodings: an_encoding_that_was_not_asked_for_is_named,
            encodings: an_error_whose_body_cannot_be_decompressed_is_told_by_its_status,
            opening: a_web_page_instead_of_the_api_is_recognised,
            opening: a_wrong_base_url_is_recognised,
            opening: an_identity_token_borrows_a_session,
            opening: an_old_server_gets_one_session_at_a_time,
            opening: credentials_are_asked_for_at_each_login,
            opening: every_login_mode_logs_in,
            opening: failures_while_opening_leave_no_session,
            opening: the_application_type_is_negotiated,
            opening: the_main_job,
            opening: wrong_credentials_are_submitted_once,
            projects: a_project_belongs_to_the_handle,
            projects: concurrent_tasks_never_send_each_other_s_project,
            projects: unknown_and_ambiguous_projects_are_reported,
            recovery: a_dead_session_costs_one_login_however_many_tasks_meet_it,
            recovery: a_lost_loan_is_reported_as_what_it_is,
            recovery: a_server_in_trouble_is_an_error_not_expired,
            recovery: an_endpoint_of_one_s_own_survives_a_lost_session,
            recovery: cookies_of_one_name_and_those_that_are_not_ascii_travel_as_they_came,
            recovery: events_tell_the_story,
            recovery: rotating_cookies_cost_no_login,
            recovery: the_status_of_a_session_is_told_without_opening_one,
            tokens: api_tokens_are_created_replaced_and_revoked,
            tokens: identity_tokens_are_created_and_validated,
            tokens: the_user_is_asked_for_once_per_session,
        }
    };
}

/// Makes one test of each case, run by `$face`.
#[macro_export]
macro_rules! suite_on {
    ($face:expr) => {
        $crate::__with_suite_cases! { $crate::__suite_tests, $face }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __suite_tests {
    ([$face:expr] $($module:ident: $case:ident,)+) => {$(
        #[test]
        fn $case() {
            $face($crate::cases::$module::$case);
        }
    )+};
}

macro_rules! table {
    ([] $($module:ident: $case:ident,)+) => {
        /// Every case.
        pub const CASES: &[Case] = &[$(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |lab| Box::pin($module::$case(lab)),
        },)+];
    };
}

__with_suite_cases! { table, }
