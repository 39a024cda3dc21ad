// An AWS client in the browser: SigV4 over fetch, JSON and query protocols.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
const text = new TextEncoder();
const hex = (bytes) => [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, "0")).join("");
const sha256 = async (s) => hex(await crypto.subtle.digest("SHA-256", text.encode(s)));
async function hmac(key, s) {
  const k = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", k, text.encode(s)));
}

const services = {
  cloudwatch: { signing: "monitoring", target: "GraniteServiceVersion20100801", version: "1.0" },
  logs: { signing: "logs", target: "Logs_20140328", version: "1.1" },
  bastide: { signing: "bastide", target: "Bastide_20261101", version: "1.1" },
  ecs: { signing: "ecs", target: "AmazonEC2ContainerServiceV20141113", version: "1.1" },
  organizations: { signing: "organizations", target: "AWSOrganizationsV20161128", version: "1.1" },
  sts: { signing: "sts", query: "2011-06-15" },
};

export class AwsError extends Error {
  constructor(code, message) {
    super(message || code);
    this.code = code;
  }
}

export class Client {
  constructor(credentials, region) {
    this.credentials = credentials;
    this.region = region;
  }

  async call(service, operation, input = {}, options = {}) {
    const s = services[service];
    const region = options.region || this.region;
    const headers = { host: location.host };
    let body;
    if (s.query) {
      body = new URLSearchParams({ Action: operation, Version: s.query, ...input }).toString();
      headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8";
    } else {
      body = JSON.stringify(input);
      headers["content-type"] = `application/x-amz-json-${s.version}`;
      headers["x-amz-target"] = `${s.target}.${operation}`;
    }
    const stamp = new Date().toISOString().replace(/[-:]|\.\d{3}/g, "");
    headers["x-amz-date"] = stamp;
    const c = this.credentials;
    if (c.SessionToken) headers["x-amz-security-token"] = c.SessionToken;
    const names = Object.keys(headers).sort();
    const canonical = ["POST", "/", "", ...names.map((n) => `${n}:${headers[n]}`), "", names.join(";"), await sha256(body)].join("\n");
    const scope = `${stamp.slice(0, 8)}/${region}/${s.signing}/aws4_request`;
    let key = text.encode("AWS4" + c.SecretAccessKey);
    for (const part of [stamp.slice(0, 8), region, s.signing, "aws4_request"]) key = await hmac(key, part);
    const signature = hex(await hmac(key, ["AWS4-HMAC-SHA256", stamp, scope, await sha256(canonical)].join("\n")));
    delete headers.host;
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${c.AccessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
    const response = await fetch("/", { method: "POST", headers, body, signal: options.signal });
    const answer = await response.text();
    if (s.query) {
      const xml = new DOMParser().parseFromString(answer, "text/xml");
      if (!response.ok) throw new AwsError(xml.querySelector("Code")?.textContent, xml.querySelector("Message")?.textContent);
      return xml;
    }
    const parsed = answer ? JSON.parse(answer) : {};
    if (!response.ok) throw new AwsError((parsed.__type || "").split("#").pop() || String(response.status), parsed.message || parsed.Message);
    return parsed;
  }

  async assume(role, name) {
    const xml = await this.call("sts", "AssumeRole", { RoleArn: role, RoleSessionName: name });
    const of = (tag) => xml.querySelector(tag)?.textContent;
    return new Client({ AccessKeyId: of("AccessKeyId"), SecretAccessKey: of("SecretAccessKey"), SessionToken: of("SessionToken"), Expiration: of("Expiration") }, this.region);
  }
}
