"""Real Python clients of the REST API against the fake server.

Usage: scenarios.py MSTR_FAKE_PROGRAM WORK_FOLDER

Each scenario gets a server of its own, uses the vendor's client or plain requests as a user would,
and asserts on what the client reports and on the server's journal. The same scenarios run over http
and over https.
"""

import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import traceback
import warnings

import requests
from mstrio.api import authentication, projects
from mstrio.connection import Connection
from mstrio.helpers import IServerError, VersionException
from mstrio.server import Project

PROGRAM, FOLDER = (os.path.abspath(path) for path in sys.argv[1:3])
EMPTY = os.path.join(FOLDER, "empty")
TUTORIAL = "B7CA92F04B9FAE8D941C3E9B7E0CD754"
# The longest a scenario may take: this release of the vendor's client waits without an end.
PATIENCE = 60
HTTP, HTTPS = "http", "https"


class Fake:
    """A running fake server."""

    def __init__(self, scheme, arguments, proxy):
        self.tls = scheme == HTTPS
        self.journal = os.path.join(FOLDER, "journal.jsonl")
        self.authority = os.path.join(FOLDER, "authority.pem")
        command = [PROGRAM, "--user", "alice:secret", "--ldap-user", "bob:hidden"]
        command += ["--api-token", "APITOKEN-0001=alice", "--journal", self.journal]
        if self.tls:
            command += ["--tls", self.authority]
        if proxy:
            command += ["--proxy", "ann:hush"]
        command += arguments
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        # Without its server no client waits for ever.
        self.limit = threading.Timer(PATIENCE, self.process.kill)
        self.limit.daemon = True
        self.limit.start()
        self.url = self._line("listening on ")
        self.proxy = self._line("proxy on ") if proxy else None

    def _line(self, beginning):
        line = self.process.stdout.readline()
        assert line.startswith(beginning), f"the server said {line!r}"
        return line[len(beginning):].strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.limit.cancel()
        self.process.terminate()
        rest = self.process.stdout.read()
        self.process.wait()
        # Nothing is said by a server that had to be killed.
        numbers = re.findall(r"passed on (\d+)|with (\d+) sessions open", rest)
        self.passed_on = sum(int(passed or 0) for passed, _ in numbers)
        self.open_sessions = sum(int(sessions or 0) for _, sessions in numbers)
        assert numbers, f"the server did not live to the end: {PATIENCE} seconds are over, or worse"

    def connect(self, username="alice", password="secret", **more):
        if self.tls:
            more.setdefault("certificate_path", self.authority)
        return Connection(self.url, username, password, verbose=False, **more)

    def stranger(self):
        """A session of requests, for a client that was written after the documentation only."""
        session = requests.Session()
        session.verify = self.authority if self.tls else True
        return session

    def logged_in_stranger(self):
        session = self.stranger()
        fields = {"username": "alice", "password": "secret", "loginMode": 1}
        login = session.post(self.url + "/api/auth/login", json=fields, timeout=10)
        assert login.status_code == 204, login.text
        session.headers["X-MSTR-AuthToken"] = login.headers["X-MSTR-AuthToken"]
        return session

    def seen(self, purpose=None):
        with open(self.journal, encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if purpose in (None, entry["purpose"])]

    def statuses(self, purpose):
        return [entry["status"] for entry in self.seen(purpose)]


SCENARIOS = []


def scenario(*arguments, schemes=(HTTP, HTTPS), leaves=0, proxied=None):
    """Marks a scenario, with arguments for the server and how many sessions it leaves there.

    With `proxied`, there is a proxy, and the scenario says whether it passes anything on.
    """

    def add(run):
        SCENARIOS.append((run, list(arguments), schemes, leaves, proxied))
        return run

    return add


def fails(kind, call, *arguments, **more):
    """What `call` raises, which has to be of this kind."""
    try:
        call(*arguments, **more)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected, and nothing was raised")


def is_expired(answer):
    return answer.status_code == 401 and answer.json()["code"] == "ERR009"


# Logging in and out.


@scenario()
def a_standard_login_works_until_it_is_closed(fake):
    connection = fake.connect()
    assert connection.get(endpoint="/api/echo").status_code == 200
    connection.close()
    assert is_expired(connection.get(endpoint="/api/echo"))
    (login,) = fake.seen("login")
    assert (login["loginMode"], login["applicationType"], login["user"]) == (1, 35, "alice"), login
    assert fake.statuses("logout") == [204]


@scenario("--user", "jürgen ß:pä&s=s+w%rd:x")
def names_and_passwords_may_have_any_letters(fake):
    with fake.connect("jürgen ß", "pä&s=s+w%rd:x") as connection:
        assert connection.user_full_name == "jürgen ß"


@scenario()
def an_ldap_login_is_another_mode(fake):
    error = fails(IServerError, fake.connect, "bob", "hidden")
    assert error.http_code == 401, "the server itself does not know who is in the directory"
    with fake.connect("bob", "hidden", login_mode=16) as connection:
        assert connection.get(endpoint="/api/echo").ok
    assert [entry["loginMode"] for entry in fake.seen("login")] == [1, 16]


@scenario()
def an_anonymous_login_needs_no_password(fake):
    fails(ValueError, fake.connect, login_mode=8)
    # This release of the client logs in anonymously only after it has been a user without a
    # password, though its documentation of the request names the mode.
    connection = fake.connect(None, None, api_token="APITOKEN-0001")
    connection.close()
    connection.login_mode = 8
    connection.connect()
    assert connection.user_full_name == "guest"
    connection.close()
    assert [entry["user"] for entry in fake.seen("login")] == ["alice", "guest"]


@scenario("--no-anonymous")
def an_anonymous_login_may_be_refused(fake):
    answer = fake.stranger().post(fake.url + "/api/auth/login", json={"loginMode": 8}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, "ERR003"), answer.text


@scenario()
def an_api_token_logs_in(fake):
    with fake.connect(None, None, api_token="APITOKEN-0001") as connection:
        assert connection.get(endpoint="/api/echo").ok
    (login,) = fake.seen("login")
    assert (login["loginMode"], login["user"]) == (4096, "alice"), login


@scenario()
def an_api_token_works_until_it_is_revoked(fake):
    with fake.connect() as owner:
        token = owner.get_api_token()
        borrower = fake.connect(None, None, api_token=token)
        assert borrower.user_id == owner.user_id
        assert owner.delete(endpoint="/api/auth/apiTokens").status_code == 204
        assert not borrower.status(), "its sessions end with it"
        error = fails(IServerError, fake.connect, None, None, api_token=token)
        assert "ERR003" in str(error), error


@scenario()
def a_wrong_password_is_submitted_once_and_reported(fake):
    error = fails(IServerError, fake.connect, password="wrong")
    assert error.http_code == 401 and "Login failed; code: 'ERR003'" in str(error), error
    assert [(entry["purpose"], entry["status"]) for entry in fake.seen()] == [("login", 401)]


@scenario("--max-sessions", "1")
def a_session_limit_is_reported_as_such(fake):
    with fake.connect():
        error = fails(IServerError, fake.connect)
        assert "Maximum number of interactive session" in str(error), error
    fake.connect().close()


@scenario()
def a_with_statement_closes_after_an_error_as_well(fake):
    def work():
        with fake.connect():
            raise KeyError("the user's own")

    assert "the user's own" in str(fails(KeyError, work))
    assert fake.statuses("logout") == [204]


@scenario()
def closing_twice_does_no_harm(fake):
    connection = fake.connect()
    connection.close()
    connection.close()
    assert fake.statuses("logout") == [204, 401]


# Projects, users, versions.


@scenario()
def a_project_is_found_by_its_name(fake):
    with fake.connect(project_name="MicroStrategy Tutorial") as connection:
        assert connection.project_id == TUTORIAL
        assert connection.get(endpoint="/api/echo").json()["project"] == TUTORIAL


@scenario()
def a_project_is_taken_by_its_id(fake):
    with fake.connect(project_id=TUTORIAL) as connection:
        assert connection.project_name == "MicroStrategy Tutorial"
        assert connection.get(endpoint="/api/echo").json()["project"] == TUTORIAL
    assert "project" not in fake.seen("logout")[0], "a logout belongs to no project"


@scenario()
def a_project_is_changed_and_cleared(fake):
    with fake.connect(project_id=TUTORIAL) as connection:
        other = "Consolidated Education Project"
        connection.select_project(project_name=other)
        assert connection.get(endpoint="/api/echo").json()["project"] == connection.project_id
        assert connection.project_id != TUTORIAL
        connection.select_project()
        assert connection.get(endpoint="/api/echo").json()["project"] is None


@scenario(leaves=2)
def an_unknown_project_is_reported(fake):
    for wrong in ({"project_name": "No Such Project"}, {"project_id": "0" * 32}):
        error = fails(ValueError, fake.connect, **wrong)
        assert next(iter(wrong.values())) in str(error), error
    # The client does not log out when its constructor fails.
    assert fake.seen("logout") == []


@scenario()
def a_project_is_an_object_on_a_node(fake):
    with fake.connect() as connection:
        assert Project(connection, id=TUTORIAL).name == "MicroStrategy Tutorial"
        assert Project(connection, id=TUTORIAL).is_loaded()
        error = fails(IServerError, Project, connection, id="0" * 32)
        assert "ERR001" in str(error), error


@scenario()
def user_and_server_tell_who_they_are(fake):
    with fake.connect() as connection:
        assert connection.user_full_name == "alice"
        assert connection.user_initials == "A"
        assert re.fullmatch(r"[0-9A-F]{32}", connection.user_id), connection.user_id
        assert connection.iserver_version == "11.6.0700"
        assert connection.web_version == "11.6.0700"
    assert len(fake.seen("user-info")) == 1


@scenario("--server-version", "11.3.0100.00001")
def an_older_server_is_used_and_ignores_applications(fake):
    with fake.connect(application_id="A" * 32) as connection:
        assert connection.iserver_version == "11.3.0100"
        assert connection.application_id is None, "the client has noticed"
    assert fake.seen("login")[0]["notes"] == ["applicationId ignored"]


@scenario("--server-version", "11.1.0300.00001", leaves=1)
def a_server_too_old_for_the_client_is_told_by_its_version(fake):
    fails(VersionException, fake.connect)
    # The client does not log out when its constructor fails.
    assert [entry["purpose"] for entry in fake.seen()] == ["login", "inspect", "status"]


# Sessions that last and end.


@scenario()
def a_session_is_renewed(fake):
    with fake.connect() as connection:
        assert connection.status()
        connection.renew()
    assert fake.statuses("renew") == [204]
    assert fake.statuses("login") == [204]


@scenario("--session-timeout", "3", schemes=(HTTP,))
def a_session_in_use_stays_alive(fake):
    session = fake.logged_in_stranger()
    for _ in range(3):
        time.sleep(1.2)
        assert session.get(fake.url + "/api/echo", timeout=10).ok
    assert session.post(fake.url + "/api/auth/logout", timeout=10).ok


@scenario("--session-timeout", "2")
def a_session_that_was_idle_is_replaced_unnoticed(fake):
    with fake.connect(project_id=TUTORIAL) as connection:
        assert connection.timeout == 2
        # The client counts whole seconds.
        time.sleep(3.1)
        answer = connection.get(endpoint="/api/echo")
        assert answer.json()["project"] == TUTORIAL, "the project stays selected"
    assert fake.statuses("renew") == [401]
    assert [entry["user"] for entry in fake.seen("login")] == ["alice", "alice"]


@scenario("--http-session-timeout", "2")
def an_end_that_the_client_does_not_foresee_is_reported(fake):
    with fake.connect() as connection:
        assert connection.timeout == 600
        time.sleep(2.2)
        assert is_expired(connection.get(endpoint="/api/echo"))
        assert not connection.status()
        connection.renew()
        assert connection.status()
    assert len(fake.seen("login")) == 2


@scenario("--fault", "call:1:expire")
def a_killed_session_is_reported_and_replaced_by_renewing(fake):
    with fake.connect() as connection:
        answer = connection.get(endpoint="/api/echo")
        assert is_expired(answer), answer.text
        assert answer.headers["content-type"] == "application/json;charset=UTF-8"
        error = fails(IServerError, projects.get_projects, connection)
        assert error.http_code == 401 and "session has expired" in str(error), error
        connection.renew()
        assert connection.get(endpoint="/api/echo").ok
    assert fake.statuses("renew") == [401]
    assert len(fake.seen("login")) == 2


@scenario("--fault", "logout:1:expire")
def a_session_that_has_just_ended_can_be_closed(fake):
    fake.connect().close()
    assert fake.statuses("logout") == [401]


# Identity tokens.


@scenario()
def a_session_is_handed_on_with_an_identity_token(fake):
    owner = fake.connect()
    token = owner.get_identity_token()
    assert authentication.validate_identity_token(owner, token).json() == {"userId": owner.user_id}
    borrower = fake.connect(None, None, identity_token=token)
    assert borrower.get(endpoint="/api/echo").ok
    assert fake.statuses("identity-token") == [201, 200]
    assert fake.statuses("delegate") == [204]
    assert len(fake.seen("login")) == 1, "there was no second login"
    owner.close()
    assert not borrower.status(), "the borrowed session ends with its owner's"


@scenario()
def a_borrower_who_closes_ends_the_owner_s_session(fake):
    owner = fake.connect()
    fake.connect(None, None, identity_token=owner.get_identity_token()).close()
    assert not owner.status()


@scenario()
def an_identity_token_nobody_knows_gives_way_to_the_password(fake):
    with fake.connect(identity_token="ID-0000") as connection:
        assert connection.get(endpoint="/api/echo").ok
        assert not connection.validate_identity_token()
    assert fake.statuses("delegate") == [401]
    assert fake.statuses("login") == [204]


# Cookies, threads, failures.


@scenario("--rotate-cookies")
def cookies_that_change_with_every_answer_are_followed(fake):
    with fake.connect() as connection:
        assert [connection.get(endpoint="/api/echo").status_code for _ in range(3)] == [200] * 3
    assert not any(entry["status"] == 401 for entry in fake.seen())


@scenario("--latency", "5")
def two_threads_share_a_session(fake):
    with fake.connect() as connection:
        answers = []

        def call():
            answers.extend(connection.get(endpoint="/api/echo").status_code for _ in range(10))

        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 20
    assert {entry.get("session") for entry in fake.seen() if entry["purpose"] != "status"} == {0}


@scenario("--fault", "projects:1-2:status=503")
def a_busy_server_is_asked_again(fake):
    fake.connect(project_id=TUTORIAL).close()
    assert fake.statuses("projects") == [503, 503, 200]


@scenario("--fault", "login:1:reset-before", "--fault", "login:2:status=503")
def a_login_that_failed_is_not_repeated(fake):
    fails(requests.exceptions.ConnectionError, fake.connect)
    error = fails(requests.exceptions.HTTPError, fake.connect)
    assert error.response.status_code == 503
    assert fake.statuses("login") == [None, 503]


@scenario("--fault", "call:1:page=502")
def a_page_of_something_in_between_is_handed_on(fake):
    with fake.connect() as connection:
        answer = connection.get(endpoint="/api/echo")
        assert answer.status_code == 502 and answer.headers["content-type"].startswith("text/html")
        assert connection.get(endpoint="/api/echo").ok


# TLS and proxies.


@scenario(schemes=(HTTPS,))
def an_unknown_authority_is_refused(fake):
    fails(requests.exceptions.SSLError, Connection, fake.url, "alice", "secret", verbose=False)
    assert fake.seen() == []


@scenario(schemes=(HTTPS,))
def a_certificate_may_go_unverified(fake):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Connection(fake.url, "alice", "secret", ssl_verify=False, verbose=False) as connection:
            assert connection.get(endpoint="/api/echo").ok


@scenario(schemes=(HTTPS,))
def an_authority_in_the_working_folder_is_trusted(fake):
    os.chdir(os.path.dirname(fake.authority))
    try:
        with Connection(fake.url, "alice", "secret", verbose=False) as connection:
            assert connection.get(endpoint="/api/echo").ok
    finally:
        os.chdir(EMPTY)


@scenario(proxied=True)
def a_proxy_is_used_with_its_password(fake):
    proxy = f"http://ann:hush@{fake.proxy}"
    with fake.connect(proxies={"http": proxy, "https": proxy}) as connection:
        assert connection.get(endpoint="/api/echo").ok


@scenario(proxied=False)
def a_proxy_refuses_a_wrong_password(fake):
    proxy = f"http://ann:wrong@{fake.proxy}"
    kind = requests.exceptions.ProxyError if fake.tls else requests.exceptions.HTTPError
    error = fails(kind, fake.connect, proxies={"http": proxy, "https": proxy})
    assert "407" in str(error), error
    assert fake.seen() == []


# Plain requests, after the documentation.


@scenario()
def a_client_that_sends_token_and_cookies_back_works(fake):
    session = fake.logged_in_stranger()
    assert {"JSESSIONID", "iSession"} <= set(session.cookies.keys())
    for _ in range(3):
        answer = session.get(fake.url + "/api/projects", timeout=10)
        assert any(project["id"] == TUTORIAL for project in answer.json())
        assert int(answer.headers["x-mstr-total-count"]) == len(answer.json())
    user = session.get(fake.url + "/api/sessions/userInfo", timeout=10).json()
    assert user["fullName"] == "alice"
    assert session.post(fake.url + "/api/auth/logout", timeout=10).status_code == 204
    assert is_expired(session.get(fake.url + "/api/projects", timeout=10))


@scenario(leaves=1)
def a_client_that_sends_the_token_only_does_not(fake):
    session = fake.logged_in_stranger()
    session.cookies.clear()
    assert is_expired(session.get(fake.url + "/api/projects", timeout=10))
    token = session.headers.pop("X-MSTR-AuthToken")
    session.headers["Authorization"] = f"Bearer {token}"
    assert is_expired(session.get(fake.url + "/api/projects", timeout=10))


@scenario(leaves=1)
def a_client_that_sends_the_cookies_only_does_not(fake):
    session = fake.logged_in_stranger()
    del session.headers["X-MSTR-AuthToken"]
    assert is_expired(session.get(fake.url + "/api/projects", timeout=10))


@scenario(leaves=2)
def a_client_that_mixes_two_sessions_does_not(fake):
    one, other = fake.logged_in_stranger(), fake.logged_in_stranger()
    one.headers["X-MSTR-AuthToken"] = other.headers["X-MSTR-AuthToken"]
    assert is_expired(one.get(fake.url + "/api/projects", timeout=10))
    assert fake.seen("projects")[0]["mixed"]


@scenario(leaves=2)
def a_login_may_be_json_or_a_form_and_standard_is_the_default(fake):
    address = fake.url + "/api/auth/login"
    fields = {"username": "alice", "password": "secret"}
    assert fake.stranger().post(address, json=fields, timeout=10).status_code == 204
    assert fake.stranger().post(address, data=fields, timeout=10).status_code == 204
    headers = {"Content-Type": "application/json"}
    answer = fake.stranger().post(address, data="{", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (400, "ERR006"), answer.text


def attempt(run, arguments, scheme, leaves, proxied):
    with Fake(scheme, arguments, proxied is not None) as fake:
        run(fake)
    assert fake.open_sessions == leaves, f"{fake.open_sessions} sessions are left, not {leaves}"
    assert proxied is None or bool(fake.passed_on) == proxied, f"{fake.passed_on} passed the proxy"


def prepare():
    """Sees to it that nothing but the scenarios decides what the clients do."""
    # For requests, what the environment says beats what the program says.
    names = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]
    proxies = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]
    for name in names + proxies + [name.upper() for name in proxies]:
        os.environ.pop(name, None)
    os.environ["NETRC"] = os.devnull
    # The client trusts any certificate in the folder it runs in.
    os.makedirs(EMPTY, exist_ok=True)
    os.chdir(EMPTY)
    # What it reports arrives as exceptions as well.
    logging.disable(logging.CRITICAL)


def main():
    prepare()
    passed = failed = 0
    for scheme in (HTTP, HTTPS):
        for run, arguments, schemes, leaves, proxied in SCENARIOS:
            if scheme not in schemes:
                continue
            name = f"{scheme}: {run.__name__}"
            try:
                attempt(run, arguments, scheme, leaves, proxied)
                passed += 1
                print(f"ok      {name}")
            except Exception as error:
                failed += 1
                # An assertion that has nothing to add is its own reason.
                line = traceback.extract_tb(error.__traceback__)[-1].line
                print(f"FAILED  {name}: {type(error).__name__}: {str(error) or line}")
                traceback.print_exc(limit=-3, chain=False, file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
