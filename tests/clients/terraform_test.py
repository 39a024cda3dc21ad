#!/usr/bin/env python3
"""Terraform's AWS provider creates, plans clean and destroys a network, roles, a key, a repository and logs."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support.house import House  # noqa: E402

MAIN = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
variable "endpoint" {}
provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    ec2  = var.endpoint
    iam  = var.endpoint
    kms  = var.endpoint
    ecr  = var.endpoint
    logs = var.endpoint
    sts  = var.endpoint
  }
}
resource "aws_vpc" "v" {
  cidr_block           = "10.77.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "terraform" }
}
resource "aws_subnet" "s" {
  vpc_id     = aws_vpc.v.id
  cidr_block = "10.77.1.0/24"
}
resource "aws_internet_gateway" "g" { vpc_id = aws_vpc.v.id }
resource "aws_route_table" "r" {
  vpc_id = aws_vpc.v.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.g.id
  }
}
resource "aws_route_table_association" "a" {
  subnet_id      = aws_subnet.s.id
  route_table_id = aws_route_table.r.id
}
resource "aws_security_group" "g" {
  name        = "terraform"
  description = "of terraform"
  vpc_id      = aws_vpc.v.id
  ingress {
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8"]
  }
}
resource "aws_iam_role" "r" {
  name               = "terraform"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { Service = "ecs-tasks.amazonaws.com" }, Action = "sts:AssumeRole" }] })
}
resource "aws_iam_policy" "p" {
  name   = "terraform"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "logs:*", Resource = "*" }] })
}
resource "aws_iam_role_policy_attachment" "a" {
  role       = aws_iam_role.r.name
  policy_arn = aws_iam_policy.p.arn
}
resource "aws_kms_key" "k" {
  description             = "terraform"
  deletion_window_in_days = 7
  enable_key_rotation     = true
}
resource "aws_kms_alias" "k" {
  name          = "alias/terraform"
  target_key_id = aws_kms_key.k.key_id
}
resource "aws_ecr_repository" "e" { name = "terraform-app" }
resource "aws_cloudwatch_log_group" "l" {
  name              = "/terraform/app"
  retention_in_days = 30
}
"""


def main():
    folders = [os.environ.get("TERRAFORM_PLUGINS", ""), str(pathlib.Path.home() / ".terraform.d/plugins"), "/usr/share/terraform/plugins"]
    mirrors = [p for p in map(pathlib.Path, filter(None, folders)) if (p / "registry.terraform.io/hashicorp/aws").is_dir()]
    if shutil.which("terraform") is None or not mirrors:
        print("skipped: this machine has no terraform with the AWS provider (TERRAFORM_PLUGINS names the folder of providers)")
        sys.exit(77)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bastide-terraform-"))
    try:
        with House() as house:
            (folder / "main.tf").write_text(MAIN)
            (folder / "rc").write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{mirrors[0]}" }}\n}}\n')
            keys = house.operator()
            env = {**os.environ, "TF_CLI_CONFIG_FILE": str(folder / "rc"), "TF_VAR_endpoint": house.endpoint,
                   "AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key,
                   "AWS_SESSION_TOKEN": keys.token or "", "AWS_EC2_METADATA_DISABLED": "true"}

            def terraform(*words, status=0):
                done = subprocess.run(["terraform", *words, "-no-color"], cwd=folder, env=env, capture_output=True, text=True, timeout=300)
                assert done.returncode == status, f"terraform {words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
                return done.stdout

            terraform("init")
            assert "13 added" in terraform("apply", "-auto-approve")
            terraform("plan", "-detailed-exitcode")  # 2 would be changes
            assert len(json.loads((folder / "terraform.tfstate").read_text())["resources"]) == 13
            assert "13 destroyed" in terraform("destroy", "-auto-approve")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("ok")


if __name__ == "__main__":
    main()
