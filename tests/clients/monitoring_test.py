#!/usr/bin/env python3
"""Metrics, alarms and notifications with boto3 and Debian's aws: an alarm really fires and reaches a subscriber."""
import base64
import datetime
import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from support.house import House, free_port

try:
    import boto3
    import botocore.exceptions
except ImportError:
    print("skipped: python3-boto3 is not installed")
    sys.exit(77)

REGION = "eu-central-1"


class Subscriber(http.server.BaseHTTPRequestHandler):
    """A local HTTP endpoint as anyone would write it: confirms, then keeps what it gets."""
    got = []
    fail = 0

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if Subscriber.fail > 0:
            Subscriber.fail -= 1
            self.send_response(503)
            self.end_headers()
            return
        Subscriber.got.append((self.headers["x-amz-sns-message-type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def wait_for(what, check, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} s")


def verify(message):
    """The signature under a message, checked with the certificate that it names."""
    with urllib.request.urlopen(message["SigningCertURL"]) as f:
        certificate = f.read()
    keys = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"] if message["Type"] == "Notification" else [
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{k}\n{message[k]}\n" for k in keys if k in message)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "c.pem").write_bytes(certificate)
        (folder / "k.pem").write_bytes(subprocess.run(["openssl", "x509", "-in", folder / "c.pem", "-pubkey", "-noout"], capture_output=True, check=True).stdout)
        (folder / "s").write_bytes(base64.b64decode(message["Signature"]))
        (folder / "t").write_text(text)
        digest = "-sha256" if message["SignatureVersion"] == "2" else "-sha1"
        done = subprocess.run(["openssl", "dgst", digest, "-verify", folder / "k.pem", "-signature", folder / "s", folder / "t"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def code_of(call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
    raise AssertionError("it was not refused")


with House() as house:
    house.stop()
    pathlib.Path(house.home, "serve.yaml").write_text("egress:\n  allow: [127.0.0.0/8]\n")
    house.start()
    operator = house.operator()

    def client(service):
        return boto3.client(service, endpoint_url=house.endpoint, region_name=REGION, aws_access_key_id=operator.access_key,
                            aws_secret_access_key=operator.secret_key, aws_session_token=operator.token)

    cloudwatch, sns = client("cloudwatch"), client("sns")
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    minute = now.replace(second=0)

    # Metrics in and out.
    dimensions = [{"Name": "App", "Value": "shop"}]
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=[
        {"MetricName": "Orders", "Dimensions": dimensions, "Timestamp": minute - datetime.timedelta(minutes=i), "Value": float(i), "Unit": "Count"} for i in range(1, 6)])
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=[
        {"MetricName": "Latency", "Timestamp": minute - datetime.timedelta(minutes=1), "Values": [float(v) for v in range(1, 101)], "Unit": "Milliseconds"}])
    listed = cloudwatch.get_paginator("list_metrics").paginate(Namespace="Shop").build_full_result()["Metrics"]
    assert {m["MetricName"] for m in listed} == {"Orders", "Latency"}, listed
    points = cloudwatch.get_metric_statistics(Namespace="Shop", MetricName="Orders", Dimensions=dimensions, StartTime=minute - datetime.timedelta(minutes=10),
                                              EndTime=minute, Period=600, Statistics=["Sum", "Average", "Maximum", "SampleCount"])["Datapoints"]
    assert len(points) == 1 and points[0]["Sum"] == 15 and points[0]["Maximum"] == 5 and points[0]["SampleCount"] == 5 and points[0]["Unit"] == "Count", points
    points = cloudwatch.get_metric_statistics(Namespace="Shop", MetricName="Latency", StartTime=minute - datetime.timedelta(minutes=10), EndTime=minute, Period=600,
                                              ExtendedStatistics=["p50", "p99"])["Datapoints"]
    assert points[0]["ExtendedStatistics"] == {"p50": 50.0, "p99": 99.0}, points
    orders = {"Metric": {"Namespace": "Shop", "MetricName": "Orders", "Dimensions": dimensions}, "Period": 60, "Stat": "Sum"}
    answer = cloudwatch.get_metric_data(StartTime=minute - datetime.timedelta(minutes=5), EndTime=minute, ScanBy="TimestampAscending", MetricDataQueries=[
        {"Id": "orders", "MetricStat": orders, "ReturnData": False}, {"Id": "twice", "Expression": "orders * 2", "Label": "Twice"}])
    assert answer["MetricDataResults"][0]["Values"] == [10, 8, 6, 4, 2] and answer["MetricDataResults"][0]["Label"] == "Twice", answer
    assert code_of(cloudwatch.put_metric_data, Namespace="AWS/ECS", MetricData=[{"MetricName": "x", "Value": 1.0}]) == "InvalidParameterValue"
    assert code_of(cloudwatch.get_dashboard, DashboardName="nobody") == "ResourceNotFound"

    # A subscriber confirms as AWS asks, and signatures hold.
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Subscriber)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    topic = sns.create_topic(Name="pages")["TopicArn"]
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DeliveryPolicy",
                             AttributeValue=json.dumps({"http": {"defaultHealthyRetryPolicy": {"numRetries": 3, "minDelayTarget": 1, "maxDelayTarget": 1}}}))
    assert code_of(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:x:1:q") == "InvalidParameter"
    assert code_of(sns.subscribe, TopicArn=topic, Protocol="email", Endpoint="a@example.com") == "InvalidParameter"
    assert code_of(sns.publish, PhoneNumber="+491701234567", Message="hello") == "InvalidParameter"
    pending = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://127.0.0.1:{server.server_port}/hook")["SubscriptionArn"]
    assert pending == "pending confirmation", pending
    wait_for("the confirmation", lambda: Subscriber.got, 20)
    kind, message = Subscriber.got.pop()
    assert kind == "SubscriptionConfirmation" == message["Type"]
    verify(message)
    sns.publish(TopicArn=topic, Message="nobody gets this before it is confirmed")
    with urllib.request.urlopen(message["SubscribeURL"]) as f:
        assert b"ConfirmSubscriptionResult" in f.read()
    subscription = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"][0]
    assert subscription["SubscriptionArn"].startswith(topic + ":"), subscription

    # A failing endpoint is tried again; filter policies hold.
    Subscriber.fail = 1
    sns.publish(TopicArn=topic, Subject="hello", Message="world", MessageAttributes={"team": {"DataType": "String", "StringValue": "a"}})
    wait_for("the message after a retry", lambda: Subscriber.got, 20)
    kind, message = Subscriber.got.pop()
    assert (kind, message["Subject"], message["Message"]) == ("Notification", "hello", "world"), message
    assert message["MessageAttributes"]["team"]["Value"] == "a"
    verify(message)
    sns.set_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"], AttributeName="FilterPolicy", AttributeValue=json.dumps({"team": ["b"]}))
    sns.publish(TopicArn=topic, Message="not for b", MessageAttributes={"team": {"DataType": "String", "StringValue": "a"}})
    sns.publish(TopicArn=topic, Message="for b", MessageAttributes={"team": {"DataType": "String", "StringValue": "b"}})
    wait_for("the message for b", lambda: Subscriber.got, 20)
    time.sleep(0.5)
    assert [m["Message"] for _, m in Subscriber.got] == ["for b"], Subscriber.got
    Subscriber.got.clear()
    sns.set_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"], AttributeName="FilterPolicy", AttributeValue="")

    # An alarm fires by itself, tells the topic once, and goes back.
    cloudwatch.put_metric_alarm(AlarmName="too-many", Namespace="Shop", MetricName="Errors", Statistic="Sum", Period=10, EvaluationPeriods=1, Threshold=5.0,
                                ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching", AlarmActions=[topic], OKActions=[topic])
    assert cloudwatch.describe_alarms(AlarmNames=["too-many"])["MetricAlarms"][0]["StateValue"] == "INSUFFICIENT_DATA"

    def state(name="too-many"):
        return cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])

    wait_for("OK", lambda: state()["MetricAlarms"][0]["StateValue"] == "OK", 40)
    wait_for("the notification of OK", lambda: Subscriber.got, 20)
    Subscriber.got.clear()
    cloudwatch.put_composite_alarm(AlarmName="all", AlarmRule="ALARM(too-many)")
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Errors", "Value": 9.0, "StorageResolution": 1}])
    wait_for("ALARM", lambda: state()["MetricAlarms"][0]["StateValue"] == "ALARM", 40)
    wait_for("the notification of ALARM", lambda: Subscriber.got, 20)
    kind, message = Subscriber.got.pop(0)
    verify(message)
    told = json.loads(message["Message"])
    assert told["NewStateValue"] == "ALARM" and told["AlarmName"] == "too-many" and told["Trigger"]["MetricName"] == "Errors", told
    assert message["Subject"].startswith('ALARM: "too-many"'), message
    wait_for("the composite alarm", lambda: state("all")["CompositeAlarms"][0]["StateValue"] == "ALARM", 40)
    wait_for("OK again", lambda: state()["MetricAlarms"][0]["StateValue"] == "OK", 90)
    history = cloudwatch.describe_alarm_history(AlarmName="too-many", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert [h["HistorySummary"] for h in history] == ["Alarm updated from ALARM to OK", "Alarm updated from OK to ALARM", "Alarm updated from INSUFFICIENT_DATA to OK"], history
    assert code_of(cloudwatch.delete_alarms, AlarmNames=["too-many"]) == "ValidationError"  # the composite depends on it
    cloudwatch.delete_alarms(AlarmNames=["all", "too-many"])

    # What the platform measures by itself.
    wait_for("the host's metrics", lambda: [m for m in cloudwatch.list_metrics(Namespace="CWAgent")["Metrics"] if m["MetricName"] == "mem_used_percent"] or
             [m for m in boto3.client("cloudwatch", endpoint_url=house.endpoint, region_name="us-east-1", aws_access_key_id=operator.access_key,
                                      aws_secret_access_key=operator.secret_key, aws_session_token=operator.token).list_metrics(Namespace="CWAgent")["Metrics"]], 90)

    # Logs become metrics, by filters and by the embedded format, and answer Insights queries.
    logs = client("logs")
    logs.create_log_group(logGroupName="/shop")
    logs.create_log_stream(logGroupName="/shop", logStreamName="s")
    logs.put_metric_filter(logGroupName="/shop", filterName="slow", filterPattern="{ $.ms > 100 }", metricTransformations=[
        {"metricName": "SlowMs", "metricNamespace": "Shop", "metricValue": "$.ms", "dimensions": {"Path": "$.path"}}])
    logs.put_metric_filter(logGroupName="/shop", filterName="access", filterPattern="[ip, ..., status=5*, bytes]", metricTransformations=[
        {"metricName": "Broken", "metricNamespace": "Shop", "metricValue": "1", "defaultValue": 0.0}])
    assert logs.describe_log_groups(logGroupNamePrefix="/shop")["logGroups"][0]["metricFilterCount"] == 2
    matches = logs.test_metric_filter(filterPattern="[ip, user, status=4*]", logEventMessages=["1.1.1.1 ann 404", "1.1.1.1 ann 200"])["matches"]
    assert [m["extractedValues"]["$status"] for m in matches] == ["404"], matches
    stamp = int(time.time() * 1000)
    lines = [json.dumps({"path": f"/{i % 3}", "ms": i * 10, "status": 500 if i % 5 == 0 else 200}) for i in range(30)]
    lines.append('9.9.9.9 - [22/Nov/2026] "GET / HTTP/1.1" 503 12')
    lines.append(json.dumps({"_aws": {"Timestamp": stamp, "CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [["Zone"]], "Metrics": [{"Name": "Emf", "Unit": "Count"}]}]}, "Zone": "a", "Emf": 7}))
    logs.put_log_events(logGroupName="/shop", logStreamName="s", logEvents=[{"timestamp": stamp + i, "message": m} for i, m in enumerate(lines)])

    def total(name, **dimensions):
        found = cloudwatch.get_metric_statistics(Namespace="Shop", MetricName=name, Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()],
                                                 StartTime=datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=10),
                                                 EndTime=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5), Period=3600, Statistics=["Sum", "SampleCount"])["Datapoints"]
        return (sum(p["Sum"] for p in found), sum(p["SampleCount"] for p in found))

    assert total("SlowMs", Path="/1") == (sum(i * 10 for i in range(30) if i % 3 == 1 and i * 10 > 100), 6), total("SlowMs", Path="/1")
    assert total("Broken")[0] == 1 and total("Emf", Zone="a") == (7, 1)

    def insights(text):
        query = logs.start_query(logGroupName="/shop", startTime=stamp // 1000 - 60, endTime=stamp // 1000 + 60, queryString=text)["queryId"]
        answer = wait_for("the query", lambda: (lambda r: r if r["status"] not in ("Running", "Scheduled") else None)(logs.get_query_results(queryId=query)), 20)
        assert answer["status"] == "Complete", answer
        return [{f["field"]: f["value"] for f in row} for row in answer["results"]], answer["statistics"]

    rows, statistics = insights("filter ispresent(status) | stats count(*) as n, max(ms) as worst by status | sort n desc")
    assert [(r["status"], r["n"], r["worst"]) for r in rows] == [("200", "24", "290"), ("500", "6", "250")], rows
    assert statistics["recordsScanned"] == 32 and statistics["recordsMatched"] == 30, statistics
    rows, _ = insights("fields @message | filter @message like /503/ | limit 5")
    assert len(rows) == 1 and logs.get_log_record(logRecordPointer=rows[0]["@ptr"])["logRecord"]["@message"] == lines[30], rows
    assert code_of(logs.start_query, logGroupName="/shop", startTime=1, endTime=2, queryString="fields |") == "MalformedQueryException"
    assert code_of(logs.start_query, logGroupName="/nobody", startTime=1, endTime=2, queryString="fields @message") == "ResourceNotFoundException"
    assert "Orders" in house.bastide("metrics ls", "Shop", "--region", REGION).stdout
    assert '"value":1' in house.bastide("metrics get", "Shop/Orders", "--stat", "Sum", "--region", REGION, "--json").stdout
    assert "App=shop" in house.bastide("metrics plot", "Shop/Orders", "--stat", "Sum", "--region", REGION).stdout
    status, headers, page = house.http("GET", "/console/")
    assert status == 200 and b"Bastide console" in page and "default-src 'none'" in headers["Content-Security-Policy"]
    assert "/console/#session=" in house.bastide("console").stdout

    # Everything acknowledged is there after kill -9.
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Last", "Value": 42.0}])
    cloudwatch.put_dashboard(DashboardName="main", DashboardBody=json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "# hi"}}]}))
    assert code_of(cloudwatch.put_dashboard, DashboardName="bad", DashboardBody="{") == "InvalidParameterInput"
    subprocess.run(["kill", "-9", str(house.role_pid("control"))], check=True)

    def last():
        try:
            return cloudwatch.get_metric_statistics(Namespace="Shop", MetricName="Last", StartTime=now - datetime.timedelta(minutes=10),
                                                    EndTime=now + datetime.timedelta(minutes=10), Period=60, Statistics=["Sum"])["Datapoints"]
        except botocore.exceptions.BotoCoreError:
            return None

    assert wait_for("the metric after kill -9", last, 30)[0]["Sum"] == 42
    assert json.loads(cloudwatch.get_dashboard(DashboardName="main")["DashboardBody"])["widgets"][0]["type"] == "text"

    # Debian's aws speaks query.
    if shutil.which("/usr/bin/aws"):
        out = house.bastide("aws", "--profile", "operator", "cloudwatch", "list-metrics", "--namespace", "Shop", "--region", REGION)
        assert {m["MetricName"] for m in json.loads(out.stdout)["Metrics"]} >= {"Orders", "Last"}, out.stdout
    server.shutdown()

print("ok")
