"""Real Python clients of the REST API against the fake server.

Usage: scenarios.py MSTR_FAKE_PROGRAM WORK_FOLDER

Each scenario starts a server of its own, uses the vendor's client or plain requests as a user
would, and asserts on what the client reports and on the server's journal. The same scenarios run
over http and over https.
"""

import json
import os
import re
import subprocess
import sys
import threading
import traceback
import warnings

import requests
from mstrio.api import authentication
from mstrio.connection import Connection

PROGRAM, FOLDER = sys.argv[1:3]
TUTORIAL = "B7CA92F04B9FAE8D941C3E9B7E0CD754"


class Fake:
    """A running fake server."""

    def __init__(self, tls, *arguments, proxy=False):
        self.tls = tls
        self.journal = os.path.join(FOLDER, "journal.jsonl")
        self.authority = os.path.join(FOLDER, "authority.pem")
        command = [PROGRAM, "--user", "alice:secret", "--ldap-user", "bob:hidden"]
        command += ["--api-token", "APITOKEN-0001=alice", "--journal", self.journal]
        if tls:
            command += ["--tls", self.authority]
        if proxy:
            command += ["--proxy", "ann:hush"]
        self.process = subprocess.Popen(command + list(arguments), stdout=subprocess.PIPE, text=True)
        self.url = self._line("listening on ")
        self.proxy = self._line("proxy on ") if proxy else None

    def _line(self, beginning):
        line = self.process.stdout.readline()
        assert line.startswith(beginning), line
        return line[len(beginning):].strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        rest = self.process.stdout.read()
        self.process.wait()
        self.open_sessions = int(re.search(r"with (\d+) sessions open", rest).group(1))
        passed = re.search(r"passed on (\d+)", rest)
        self.passed_on = int(passed.group(1)) if passed else 0

    def connect(self, username="alice", password="secret", **more):
        if self.tls:
            more.setdefault("certificate_path", self.authority)
        return Connection(self.url, username, password, verbose=False, **more)

    def seen(self, purpose=None):
        with open(self.journal, encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if purpose in (None, entry["purpose"])]


def closes(scenario):
    """The scenario leaves no session on the server."""
    scenario.closes = True
    return scenario


@closes
def a_standard_login_works_until_it_is_closed(tls):
    with Fake(tls) as fake:
        connection = fake.connect()
        assert connection.get(endpoint="/api/echo").status_code == 200
        connection.close()
        assert [entry["loginMode"] for entry in fake.seen("login")] == [1]
        assert [entry["status"] for entry in fake.seen("logout")] == [204]
    return fake


@closes
def an_ldap_login_is_another_mode(tls):
    with Fake(tls) as fake:
        connection = fake.connect("bob", "hidden", login_mode=16)
        assert connection.get(endpoint="/api/echo").ok
        connection.close()
        assert [entry["loginMode"] for entry in fake.seen("login")] == [16]
    return fake


@closes
def an_anonymous_login_needs_no_password(tls):
    # The vendor's client has no such mode in this release.
    with Fake(tls) as fake:
        session = stranger(fake, tls, {"loginMode": 8})
        assert session.get(fake.url + "/api/projects", timeout=10).ok
        assert session.post(fake.url + "/api/auth/logout", timeout=10).status_code == 204
        assert fake.seen("login")[0]["user"] == "guest"
    return fake


@closes
def an_api_token_logs_in(tls):
    with Fake(tls) as fake:
        connection = fake.connect(None, None, api_token="APITOKEN-0001")
        assert connection.get(endpoint="/api/echo").ok
        connection.close()
        login = fake.seen("login")[0]
        assert (login["loginMode"], login["user"]) == (4096, "alice")
    return fake


@closes
def a_wrong_password_is_reported(tls):
    with Fake(tls) as fake:
        try:
            fake.connect(password="wrong")
        except Exception as error:
            assert "ERR003" in str(error) or "401" in str(error), error
        else:
            raise AssertionError("a wrong password was taken")
        assert {entry["status"] for entry in fake.seen("login")} == {401}
    return fake


@closes
def a_project_is_found_by_its_name(tls):
    with Fake(tls) as fake:
        connection = fake.connect(project_name="MicroStrategy Tutorial")
        assert connection.project_id == TUTORIAL
        assert connection.get(endpoint="/api/echo").json()["project"] == TUTORIAL
        connection.close()
    return fake


@closes
def a_project_is_taken_by_its_id(tls):
    with Fake(tls) as fake:
        connection = fake.connect(project_id=TUTORIAL)
        assert connection.get(endpoint="/api/echo").json()["project"] == TUTORIAL
        connection.close()
        assert "project" not in fake.seen("logout")[0], "a logout belongs to no project"
    return fake


def an_unknown_project_is_reported(tls):
    with Fake(tls) as fake:
        try:
            fake.connect(project_name="No Such Project")
        except ValueError as error:
            assert "No Such Project" in str(error), error
        else:
            raise AssertionError("a project that is not there was found")
    return fake


@closes
def user_and_server_tell_who_they_are(tls):
    with Fake(tls) as fake:
        connection = fake.connect()
        assert connection.user_full_name == "alice"
        assert re.fullmatch(r"[0-9A-F]{32}", connection.user_id), connection.user_id
        assert connection.iserver_version.startswith("11.6.")
        assert connection.web_version.startswith("11.")
        connection.close()
    return fake


@closes
def a_session_is_renewed(tls):
    with Fake(tls) as fake:
        connection = fake.connect()
        assert connection.status()
        connection.renew()
        connection.close()
        assert [entry["status"] for entry in fake.seen("renew")] == [204]
        assert len(fake.seen("login")) == 1
    return fake


@closes
def a_session_that_ended_is_replaced_by_renewing(tls):
    with Fake(tls, "--fault", "renew:1:expire") as fake:
        connection = fake.connect()
        connection.renew()
        assert connection.get(endpoint="/api/echo").ok
        connection.close()
        assert [entry["status"] for entry in fake.seen("renew")] == [401]
        assert len(fake.seen("login")) == 2
    return fake


@closes
def a_killed_session_is_refused_with_the_server_s_code(tls):
    with Fake(tls, "--fault", "call:1:expire") as fake:
        connection = fake.connect()
        answer = requests.get(
            fake.url + "/api/echo",
            headers={"X-MSTR-AuthToken": connection.token},
            cookies=connection._session.cookies,
            verify=fake.authority if tls else True,
            timeout=10,
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "ERR009"), answer.text
        assert answer.headers["content-type"] == "application/json;charset=UTF-8"
        assert "session has expired" in answer.json()["message"]
    return fake


def a_session_is_handed_on_with_an_identity_token(tls):
    with Fake(tls) as fake:
        owner = fake.connect()
        token = owner.get_identity_token()
        assert authentication.validate_identity_token(owner, token).ok
        borrower = fake.connect(None, None, identity_token=token)
        assert borrower.get(endpoint="/api/echo").ok
        assert len(fake.seen("login")) == 1, "nobody logged in again"
        assert [entry["status"] for entry in fake.seen("delegate")] == [204]
        owner.close()
    assert fake.open_sessions == 0, "the borrowed session ends with its owner's"
    return fake


@closes
def an_old_server_refuses_the_newer_application_type(tls):
    with Fake(tls, "--server-version", "11.3.0100.00001") as fake:
        connection = fake.connect()
        assert connection.iserver_version.startswith("11.3.")
        connection.close()
    return fake


@closes
def two_threads_share_a_session(tls):
    with Fake(tls) as fake:
        connection = fake.connect()
        answers = []

        def call():
            answers.extend(connection.get(endpoint="/api/echo").status_code for _ in range(10))

        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection.close()
        assert answers == [200] * 20
        assert len(fake.seen("login")) == 1
        assert not any(entry.get("mixed") for entry in fake.seen())
    return fake


@closes
def a_session_limit_is_reported_as_such(tls):
    with Fake(tls, "--max-sessions", "1") as fake:
        connection = fake.connect()
        try:
            fake.connect()
        except Exception as error:
            assert "Maximum number of interactive session" in str(error), error
        else:
            raise AssertionError("a second session was opened")
        connection.close()
    return fake


@closes
def a_certificate_may_go_unverified(tls):
    with Fake(tls) as fake:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            connection = Connection(fake.url, "alice", "secret", ssl_verify=False, verbose=False)
            assert connection.get(endpoint="/api/echo").ok
            connection.close()
    return fake


def an_unknown_authority_is_refused(tls):
    with Fake(tls) as fake:
        if not tls:
            return fake
        try:
            Connection(fake.url, "alice", "secret", verbose=False)
        except requests.exceptions.SSLError:
            pass
        else:
            raise AssertionError("a certificate of nobody was trusted")
        assert fake.seen() == []
    return fake


@closes
def a_proxy_is_used_with_its_password(tls):
    with Fake(tls, proxy=True) as fake:
        proxy = f"http://ann:hush@{fake.proxy}"
        connection = fake.connect(proxies={"http": proxy, "https": proxy})
        assert connection.get(endpoint="/api/echo").ok
        connection.close()
        assert len(fake.seen("login")) == 1
    assert fake.passed_on > 0, "nothing went through the proxy"
    return fake


def stranger(fake, tls, fields=None):
    """A client that knows the documentation only: one session object keeps all cookies."""
    session = requests.Session()
    session.verify = fake.authority if tls else True
    fields = fields or {"username": "alice", "password": "secret", "loginMode": 1}
    login = session.post(fake.url + "/api/auth/login", json=fields, timeout=10)
    assert login.status_code == 204, login.text
    session.headers["X-MSTR-AuthToken"] = login.headers["X-MSTR-AuthToken"]
    return session


@closes
def a_client_that_sends_token_and_cookies_back_works(tls):
    with Fake(tls) as fake:
        session = stranger(fake, tls)
        assert session.cookies, "the login sets cookies"
        for _ in range(3):
            projects = session.get(fake.url + "/api/projects", timeout=10)
            assert any(project["id"] == TUTORIAL for project in projects.json())
        user = session.get(fake.url + "/api/sessions/userInfo", timeout=10).json()
        assert user["fullName"] == "alice"
        assert session.post(fake.url + "/api/auth/logout", timeout=10).status_code == 204
        assert session.get(fake.url + "/api/projects", timeout=10).status_code == 401
    return fake


def a_client_that_sends_the_token_only_does_not(tls):
    with Fake(tls) as fake:
        session = stranger(fake, tls)
        session.cookies.clear()
        answer = session.get(fake.url + "/api/projects", timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (401, "ERR009"), answer.text
    return fake


SCENARIOS = [
    scenario
    for name, scenario in list(globals().items())
    if callable(scenario) and scenario.__module__ == __name__ and name.islower()
    and name not in ("closes", "stranger")
]


def main():
    # For requests, what the environment says beats what the program says.
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
    proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for name in names + proxies + tuple(name.upper() for name in proxies):
        os.environ.pop(name, None)
    failed = 0
    for tls in (False, True):
        scheme = "https" if tls else "http"
        for scenario in SCENARIOS:
            name = f"{scheme}: {scenario.__name__}"
            try:
                fake = scenario(tls)
                if getattr(scenario, "closes", False):
                    assert fake.open_sessions == 0, f"{fake.open_sessions} sessions were left"
                print(f"ok      {name}")
            except Exception:
                failed += 1
                print(f"FAILED  {name}\n{traceback.format_exc(limit=3, chain=False)}")
    print(f"{2 * len(SCENARIOS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
