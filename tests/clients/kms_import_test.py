#!/usr/bin/env python3
"""Key material of one's own, as AWS's guide imports it: wrapped by openssl, imported by boto3."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from support.house import House

try:
    import boto3
    from botocore.exceptions import ClientError
except ImportError:
    print("skipped: python3-boto3 is not installed")
    sys.exit(77)
if not shutil.which("openssl"):
    print("skipped: openssl is not installed")
    sys.exit(77)


def refused(f, code):
    try:
        f()
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return
    raise AssertionError("was not refused")


with House() as house, tempfile.TemporaryDirectory() as folder:
    operator = house.operator()
    kms = boto3.client("kms", endpoint_url=house.endpoint, region_name="us-east-1", aws_access_key_id=operator.access_key,
                       aws_secret_access_key=operator.secret_key, aws_session_token=operator.token)

    def wrapped(key, material, digest="sha256", algorithm="RSAES_OAEP_SHA_256"):
        parameters = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
        public = pathlib.Path(folder, "public.der")
        public.write_bytes(parameters["PublicKey"])
        out = subprocess.run(["openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", public, "-pkeyopt", "rsa_padding_mode:oaep",
                              "-pkeyopt", f"rsa_oaep_md:{digest}", "-pkeyopt", f"rsa_mgf1_md:{digest}"], input=material, capture_output=True, check=True).stdout
        return parameters["ImportToken"], out

    def put(key, material, **more):
        token, sealed = wrapped(key, material)
        return kms.import_key_material(KeyId=key, ImportToken=token, EncryptedKeyMaterial=sealed, **(more or {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}))

    material = os.urandom(32)
    made = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    key = made["KeyId"]
    assert made["KeyState"] == "PendingImport" and made["Origin"] == "EXTERNAL", made
    refused(lambda: kms.encrypt(KeyId=key, Plaintext=b"x"), "KMSInvalidStateException")
    put(key, material)
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert described["KeyState"] == "Enabled" and described["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE", described
    blob = kms.encrypt(KeyId=key, Plaintext=b"mine")["CiphertextBlob"]
    refused(lambda: kms.enable_key_rotation(KeyId=key), "UnsupportedOperationException")

    # Deleted, imported anew: the same material opens what it sealed; no other material is taken.
    kms.delete_imported_key_material(KeyId=key)
    refused(lambda: kms.decrypt(CiphertextBlob=blob), "KMSInvalidStateException")
    refused(lambda: put(key, os.urandom(32)), "IncorrectKeyMaterialException")
    put(key, material)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"mine"

    # A token is for one key and what it wraps; material expires by itself.
    other = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    token, sealed = wrapped(key, material)
    refused(lambda: kms.import_key_material(KeyId=other, ImportToken=token, EncryptedKeyMaterial=sealed, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE"), "InvalidImportTokenException")
    refused(lambda: kms.import_key_material(KeyId=key, ImportToken=token, EncryptedKeyMaterial=os.urandom(256), ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE"), "InvalidCiphertextException")
    refused(lambda: put(other, b"too short"), "IncorrectKeyMaterialException")
    put(other, material, ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=time.time() + 2)
    kms.encrypt(KeyId=other, Plaintext=b"x")
    for _ in range(80):
        if kms.describe_key(KeyId=other)["KeyMetadata"]["KeyState"] == "PendingImport":
            break
        time.sleep(0.1)
    refused(lambda: kms.encrypt(KeyId=other, Plaintext=b"x"), "KMSInvalidStateException")

    mac = kms.create_key(Origin="EXTERNAL", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    put(mac, material)
    import hashlib
    import hmac
    assert kms.generate_mac(KeyId=mac, MacAlgorithm="HMAC_SHA_256", Message=b"m")["Mac"] == hmac.new(material, b"m", hashlib.sha256).digest()
    refused(lambda: kms.get_parameters_for_import(KeyId=kms.create_key()["KeyMetadata"]["KeyId"], WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"),
            "UnsupportedOperationException")
    found = subprocess.run(["grep", "-rlaF", material, house.home], capture_output=True).stdout if b"\0" not in material and b"\n" not in material else b""
    assert found == b"", found
print("ok")
