"""RoomService with TLS, tickets and roles, as a bank would run it."""

import base64
import hashlib
import hmac
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import zlib

from program import Program, binary
from wait import tail, until

SDK_APP_ID = 1400000001

IN_USE = {
    "rooms": "rooms", "members": "members",
    "published": 'relay_sessions{role="publish"}', "played": 'relay_sessions{role="play"}',
}
A_CALL = {"rooms": 1, "members": 2, "published": 2, "played": 2}
NOTHING = dict.fromkeys(IN_USE, 0)

ROLES = """
[[roles]]
name = "kiosks"
users = "kiosk-*"
role = "kiosk"
rooms = ["branch-{}"]

[[roles]]
name = "clerks"
users = "clerk-*"
role = "clerk"
rooms = ["branch-*"]
"""


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, directory, name="RTCRoom test CA"):
        self.directory = directory
        self.certificate = directory / "ca.pem"
        self.key = directory / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, addresses=(), names=("localhost",)):
        """A certificate and its key for a server at `addresses` and `names`, or for a client when there are no addresses."""
        certificate, key, request = (self.directory / f"{name}.{end}" for end in ("pem", "key", "csr"))
        extensions = self.directory / f"{name}.ext"
        places = ",".join([*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)])
        use = f"subjectAltName={places}\nextendedKeyUsage=serverAuth" if addresses else "extendedKeyUsage=clientAuth"
        extensions.write_text(f"basicConstraints=CA:FALSE\n{use}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                "-extfile", extensions, "-out", certificate)
        return certificate, key


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Service:
    """One RoomService; it keeps its port when it is started again."""

    def __init__(self, directory, *, roles=ROLES, advertise=("127.0.0.1",), extra="", names=(), addresses=(), asks_clients=False):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(directory)
        self.certificate, self.key = self.authority.issue("server", ["127.0.0.1", "127.0.0.2", *addresses], ["localhost", *names])
        # Clients then have to show a certificate of the same authority; so do the tests themselves.
        self.own_certificate = self.authority.issue("tester") if asks_clients else None
        self.config = directory / "roomservice.toml"
        self.log = directory / "roomservice.log"
        self.roles = roles
        self.advertise = [advertise] if isinstance(advertise, str) else list(advertise)
        self.extra = extra
        self.port = 0
        self.listen = "127.0.0.1"
        self.program = None
        subprocess.run([binary("roomservice"), "keygen", "--out", directory / "keys"], check=True, capture_output=True)
        self.write_config()

    @property
    def address(self):
        return f"https://127.0.0.1:{self.port}/"

    def write_config(self):
        self.config.write_text(f"""
listen = "{self.listen}:{self.port}"
sdk_app_id = {SDK_APP_ID}
{self.extra}
[tls]
cert = "{self.certificate}"
key = "{self.key}"
{f'client_ca = "{self.authority.certificate}"' if self.own_certificate else ""}

[tickets]
public_key = "keys/public.pem"
private_key = "keys/private.pem"
secret_file = "keys/secret.hex"

[relay]
advertise = {json.dumps(self.advertise)}
{self.roles}
""")

    def start(self):
        first_line = self.directory / "address"
        with first_line.open("wb") as out:
            self.program = Program("roomservice", self.log, ["serve", "--config", self.config], stdout=out)
        address = until("RoomService to print its address", first_line.read_text, 10, self.program)
        self.port = int(address.strip().rstrip("/").rsplit(":", 1)[1])
        self.write_config()
        until("RoomService to answer /healthz", lambda: self.get("healthz") == "ok", 10, self.program)
        return self

    def stop(self):
        return self.program.stop()

    def close(self):
        if self.program and self.program.alive:
            self.program.kill()

    def ticket(self, user, days=30, *options):
        """A userSig signed by `roomservice sign`."""
        return subprocess.run(
            [binary("roomservice"), "sign", "--user", user, "--config", self.config, "--days", str(days), *options],
            check=True, capture_output=True, text=True,
        ).stdout.strip()

    def expired_ticket(self, user):
        """A userSig that ran out a minute ago. `roomservice sign` makes none, so it is made here (v2, HMAC)."""
        began, lasts = int(time.time()) - 3660, 3600
        signed = f"TLS.identifier:{user}\nTLS.sdkappid:{SDK_APP_ID}\nTLS.time:{began}\nTLS.expire:{lasts}\n"
        key = (self.directory / "keys" / "secret.hex").read_text().strip().encode()
        fields = {
            "TLS.ver": "2.0", "TLS.identifier": user, "TLS.sdkappid": SDK_APP_ID, "TLS.time": began, "TLS.expire": lasts,
            "TLS.sig": base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode(),
        }
        text = base64.b64encode(zlib.compress(json.dumps(fields).encode())).decode()
        return text.translate(str.maketrans("+/=", "*-_"))

    def get(self, path):
        with urllib.request.urlopen(self.address + path, context=self.trust, timeout=5) as answer:
            return answer.read().decode()

    @property
    def trust(self):
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if self.own_certificate:
            context.load_cert_chain(*self.own_certificate)
        return context

    def metrics(self):
        """What `/metrics` counts now, the kinds of rooms added up."""
        counts = {}
        for line in self.get("metrics").splitlines():
            if not line.startswith("#"):
                name, value = line.removeprefix("rtcroom_").rsplit(" ", 1)
                name = name.split("{kind=")[0]
                counts[name] = counts.get(name, 0) + int(value)
        return counts

    def in_use(self):
        """Rooms, seats, and WHIP and WHEP resources."""
        counts = self.metrics()
        return {name: counts[key] for name, key in IN_USE.items()}

    def report(self):
        if not self.program:
            return "RoomService was not started"
        try:
            counts = self.metrics()
        except Exception as error:  # noqa: BLE001 a report must come whatever is wrong
            counts = error
        return f"RoomService counts {counts}\n{self.program.report()}"

    def log_tail(self, lines=25):
        return tail(self.log, lines)


class Account:
    """A user of RoomService without a browser: bare HTTP, for what the page would never do."""

    def __init__(self, service, user, kind="double_room"):
        self.service = service
        self.user = user
        self.kind = kind
        self.token = ""

    def login(self):
        ticket = self.service.ticket(self.user)
        answer = self.post(f"login?sdkAppID={SDK_APP_ID}&accountType=&userID={self.user}&userSig={ticket}", {})
        self.token = answer.get("token", "")
        assert answer["code"] == 0, answer
        return self

    def call(self, operation, user=None, **body):
        """The answer to an operation, whatever its code."""
        return self.post(f"{operation}?userID={user or self.user}&token={self.token}", {"userID": self.user, **body})

    def post(self, path, body):
        status, text, _ = self.request("POST", f"weapp/{self.kind}/{path}", json.dumps(body), {"content-type": "application/json"})
        assert status == 200, f"{path}: HTTP {status} {text}"
        return json.loads(text)

    def request(self, method, path, body=None, headers=None):
        """`(status, body, headers)`; `path` may be a whole address."""
        address = path if "://" in path else self.service.address + path.lstrip("/")
        request = urllib.request.Request(address, method=method, data=body.encode() if body is not None else None, headers=headers or {})
        try:
            with urllib.request.urlopen(request, context=self.service.trust, timeout=5) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers

    def media(self, method, address, sdp="v=0\r\n"):
        """A WHIP or WHEP request with this account's token."""
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/sdp"}
        return self.request(method, address, sdp if method in ("POST", "PATCH") else None, headers)

    def take_seat(self, room):
        """Enters a room; gives `(answer, push address)`."""
        address = self.call("get_push_url", roomID=room).get("pushURL", "")
        return self.call("add_pusher", roomID=room, userName=self.user, userAvatar="", pushURL=address), address
