#!/usr/bin/env python3
"""The web console in a real browser: signs in by the link, shows alarms, graphs, dashboards and log queries."""
import datetime
import json
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
except ImportError:
    print("skipped: python3-boto3 is not installed")
    sys.exit(77)
BROWSER = shutil.which("chromium")
if not BROWSER:
    print("skipped: chromium is not installed")
    sys.exit(77)
SHOTS = os.environ.get("CONSOLE_SHOTS")  # a folder to look at afterwards

with House() as house, tempfile.TemporaryDirectory(prefix="bastide-browser-") as profile:
    keys = house.operator()

    def client(service):
        return boto3.client(service, endpoint_url=house.endpoint, region_name="us-east-1", aws_access_key_id=keys.access_key,
                            aws_secret_access_key=keys.secret_key, aws_session_token=keys.token)

    cloudwatch, logs = client("cloudwatch"), client("logs")
    now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=[
        {"MetricName": "Orders", "Dimensions": [{"Name": "App", "Value": app}], "Timestamp": now - datetime.timedelta(minutes=i), "Value": float((i * factor) % 17)}
        for i in range(50) for app, factor in (("web", 3), ("api", 5))])
    cloudwatch.put_metric_alarm(AlarmName="orders-low", AlarmDescription="Nobody <b>buys</b>", Namespace="Shop", MetricName="Orders", Dimensions=[{"Name": "App", "Value": "web"}], Statistic="Sum",
                                Period=60, EvaluationPeriods=1, Threshold=100.0, ComparisonOperator="LessThanThreshold")
    cloudwatch.set_alarm_state(AlarmName="orders-low", StateValue="ALARM", StateReason="a test")
    cloudwatch.put_dashboard(DashboardName="shop", DashboardBody=json.dumps({"widgets": [
        {"type": "text", "width": 24, "height": 2, "properties": {"markdown": "# The **shop**\n<script>window.hacked = 1</script>"}},
        {"type": "metric", "width": 12, "height": 6, "properties": {"title": "Orders by app", "stat": "Sum", "period": 60, "metrics": [["Shop", "Orders", "App", "web"], ["...", "api"]]}},
        {"type": "metric", "width": 6, "height": 6, "properties": {"title": "Now", "view": "singleValue", "metrics": [["Shop", "Orders", "App", "web"]]}},
        {"type": "alarm", "width": 6, "height": 6, "properties": {"title": "Alarms", "alarms": []}}]}))
    logs.create_log_group(logGroupName="/shop")
    logs.create_log_stream(logGroupName="/shop", logStreamName="s")
    logs.put_log_events(logGroupName="/shop", logStreamName="s", logEvents=[{"timestamp": int(time.time() * 1000) + i, "message": f"line {i} <img src=x>"} for i in range(20)])
    link = house.bastide("console").stdout.strip()

    def page(name, width=1280, dark=False):
        flags = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}/{name.replace('/', '-')}{width}",
                 f"--window-size={width},900", "--virtual-time-budget=15000", "--hide-scrollbars"]
        if dark:
            flags.append("--blink-settings=preferredColorScheme=0")
        if SHOTS:
            shot = pathlib.Path(SHOTS) / f"{name.replace('/', '-')}-{width}.png"
            subprocess.run([*flags, f"--screenshot={shot}", f"{link}/{name}"], capture_output=True, timeout=120)
        done = subprocess.run([*flags, "--dump-dom", f"{link}/{name}"], capture_output=True, text=True, timeout=120)
        assert "SecretAccessKey" not in done.stdout, "the page shows its keys"
        return done.stdout

    dom = page("alarms")
    assert "orders-low" in dom and ">ALARM<" in dom, dom[-3000:]
    assert "Nobody &lt;b&gt;buys&lt;/b&gt;" in dom, "text from the API is text"
    dom = page("dashboards")
    assert "Orders by app" in dom and 'class="line"' in dom and "<strong>shop</strong>" in dom and "&lt;script&gt;" in dom, dom[-3000:]
    dom = page("logs")
    assert "line 19 &lt;img src=x&gt;" in dom and "Complete" in dom, dom[-3000:]
    dom = page("metrics/Shop/Orders")
    assert "App=web" in dom, dom[-3000:]
    dom = page("overview", 420)
    assert "Components" in dom or "No environments" in dom, dom[-3000:]

print("ok")
