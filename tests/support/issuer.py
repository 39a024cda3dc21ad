"""An OpenID Connect issuer on loopback with a certificate of its own authority: discovery, keys, and tokens as a test wants them."""
import base64
import http.server
import json
import os
import ssl
import subprocess
import threading
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words, input=None):
    return subprocess.run(["openssl", *words], input=input, capture_output=True, check=True).stdout


def make_certificate(folder):
    """An authority and a certificate for 127.0.0.1: (ca, chain, key)."""
    ca, ca_key, key, request, chain = (f"{folder}/{n}" for n in ("ca.pem", "ca.key", "idp.key", "idp.csr", "idp.pem"))
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=Test authority")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=127.0.0.1")
    extension = f"{folder}/idp.ext"
    with open(extension, "w") as f:
        f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", chain, "-days", "2", "-extfile", extension)
    return ca, chain, key


class SigningKey:
    def __init__(self, folder, kid, kind):
        self.kid, self.kind, self.path = kid, kind, f"{folder}/{kid}.key"
        if kind == "RS256":
            openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.path)
            modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().split("=")[1]
            self.jwk = {"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}
        else:
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.path)
            point = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
            self.jwk = {"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": b64(point[:32]), "y": b64(point[32:])}

    def sign(self, claims, **header):
        text = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": self.kind, "kid": self.kid, "typ": "JWT", **header}, claims))
        signature = openssl("dgst", "-sha256", "-sign", self.path, input=text.encode())
        if self.kind == "ES256":  # DER to r and s of 32 bytes each
            r_size = signature[3]
            r, s = signature[4:4 + r_size], signature[6 + r_size:]
            signature = b"".join(n.lstrip(b"\0").rjust(32, b"\0") for n in (r, s))
        return text + "." + b64(signature)


class Issuer:
    """with Issuer(folder) as issuer: issuer.url, issuer.token(sub=..., aud=...)"""

    def __init__(self, folder):
        self.folder = folder
        self.ca, chain, key = make_certificate(folder)
        self.keys = [SigningKey(folder, "rsa-1", "RS256"), SigningKey(folder, "ec-1", "ES256")]
        self.published = list(self.keys)
        self.requests = []
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.requests.append(self.path)
                answer = {"/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": issuer.url + "/keys"},
                          "/keys": {"keys": [k.jwk for k in issuer.published]}}.get(self.path)
                body = json.dumps(answer).encode()
                self.send_response(200 if answer else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"https://{self.host}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def token(self, key=0, header=None, **claims):
        now = int(time.time())
        return self.keys[key].sign({"iss": self.url, "aud": "ci", "sub": "repo:org/app", "iat": now, "exp": now + 600, **claims}, **(header or {}))


def trust(house, issuer_url, ca, jwks=None):
    """What the owner of a home says of an issuer that is not public: HOME/oidc.json, readable by control."""
    path = os.path.join(house.home, "oidc-ca.pem")
    with open(ca) as source, open(path, "w") as target:
        target.write(source.read())
    os.chmod(path, 0o644)
    settings = os.path.join(house.home, "oidc.json")
    with open(settings, "w") as f:
        json.dump({issuer_url: {"ca_file": path, "private": True}}, f)
    os.chmod(settings, 0o644)
