"""The embedded cloud: moto on one loopback port, with the corrections that moto.md specifies.

Run as `python -I moto-server.py [PORT]` (-I: this folder must not be searched for modules). Prints one JSON line {"endpoint": ...} as soon as
it answers, and ends on SIGTERM or when its standard input ends, so that it never outlives the program that started it.
"""

import copy
import functools
import importlib
import inspect
import json
import logging
import os
import signal
import sys
import threading

os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

import botocore.loaders

# EC2's module makes three sessions, and each reads the same 30,000 lines of endpoints: 0.25 s of its 0.75 (measured).
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

VERIFIED_CHECKSUMS = ("sha256", "crc32", "sha1")


def verify_and_store_s3_checksums():
    from moto.s3.exceptions import S3ClientError
    from moto.s3.responses import S3Response
    from moto.s3.utils import compute_checksum

    class BadDigest(S3ClientError):
        code = 400

    uncorrected = S3Response._get_checksum

    def get_checksum(self, response_headers):
        for algorithm in VERIFIED_CHECKSUMS:
            header = f"x-amz-checksum-{algorithm}"
            given = self.headers.get(header)
            if given is None:
                continue
            if compute_checksum(self.body or b"", algorithm=algorithm.upper()).decode() != given:
                raise BadDigest("BadDigest", f"The {algorithm.upper()} you specified did not match the calculated checksum.")
            response_headers[header] = given
            return algorithm.upper(), given
        return uncorrected(self, response_headers)

    S3Response._get_checksum = get_checksum


def give_back_lifecycle_rules_as_they_were_put():
    from moto.s3.responses import S3Response

    put, get = S3Response._bucket_response_put, S3Response.get_bucket_lifecycle

    def bucket_response_put(self, request, bucket_name, querystring):
        answer = put(self, request, bucket_name, querystring)
        if "lifecycle" in querystring:
            self.backend.get_bucket(bucket_name).lifecycle_as_put = self.body
        return answer

    def get_bucket_lifecycle(self):
        status, headers, _ = get(self)
        return status, headers, self.backend.get_bucket(self.bucket_name).lifecycle_as_put

    S3Response._bucket_response_put, S3Response.get_bucket_lifecycle = bucket_response_put, get_bucket_lifecycle


def correct_s3():
    verify_and_store_s3_checksums()
    give_back_lifecycle_rules_as_they_were_put()


def inherit_from_the_source_version():
    from moto.ec2.responses.launch_templates import LaunchTemplates

    uncorrected = LaunchTemplates.create_launch_template_version

    def create_launch_template_version(self):
        parameter = self._get_param
        source = parameter("SourceVersion")
        if source:
            name = parameter("LaunchTemplateName")
            find = self.ec2_backend.get_launch_template_by_name if name else self.ec2_backend.get_launch_template
            inherited = find(name or parameter("LaunchTemplateId")).get_version(source).data
            merged = {**copy.deepcopy(inherited), **(parameter("LaunchTemplateData") or {})}
            self._get_param = lambda key, *rest: merged if key == "LaunchTemplateData" else parameter(key, *rest)
        return uncorrected(self)

    LaunchTemplates.create_launch_template_version = create_launch_template_version


def keep_the_template_s_own_tags_out_of_its_data():
    from moto.ec2.responses.launch_templates import LaunchTemplates

    uncorrected = LaunchTemplates.create_launch_template

    def create_launch_template(self):
        answer = uncorrected(self)
        name = self._get_param("LaunchTemplateName")
        data = self.ec2_backend.get_launch_template_by_name(name).get_version(1).data
        kept = [each for each in data.get("TagSpecifications", []) if each["ResourceType"] != "launch-template"]
        data.pop("TagSpecifications", None)
        if kept:
            data["TagSpecifications"] = kept
        return answer

    LaunchTemplates.create_launch_template = create_launch_template


def show_tags_that_a_template_was_given_later():
    from moto.ec2.models.launch_templates import LaunchTemplate

    LaunchTemplate.tags = property(lambda self: self.get_tags(), lambda self, tags: None)


def describe_every_security_group_rule():
    from moto.ec2.models.security_groups import SecurityGroupRule

    uncorrected = SecurityGroupRule.__init__
    signature = inspect.signature(uncorrected)

    def init(self, *args, **kwargs):
        uncorrected(self, *args, **kwargs)
        prefix_list = signature.bind(self, *args, **kwargs).arguments.get("prefix_list_id")
        self.prefix_list_description = (prefix_list or {}).get("Description")

    def description(self):
        return self.ip_range.get("Description") or self.source_group.get("Description") or self.prefix_list_description

    SecurityGroupRule.__init__ = init
    SecurityGroupRule.description = property(description)


def correct_ec2():
    inherit_from_the_source_version()
    keep_the_template_s_own_tags_out_of_its_data()
    show_tags_that_a_template_was_given_later()
    describe_every_security_group_rule()


def take_projects_of_pipelines_without_a_location():
    from moto.codebuild import responses

    for name in ("_validate_required_params_source", "_validate_required_params_artifacts"):
        uncorrected = getattr(responses, name)
        setattr(responses, name, lambda given, check=uncorrected: None if given["type"] == "CODEPIPELINE" else check(given))


def keep_and_update_what_a_project_is_given():
    from moto.codebuild.exceptions import ResourceNotFoundException
    from moto.codebuild.responses import CodeBuildResponse
    from moto.core.responses import ActionResult
    from moto.core.utils import unix_time

    uncorrected = CodeBuildResponse.create_project

    def create_project(self):
        answer = uncorrected(self)
        key = self._get_param("encryptionKey")
        if key:
            answer.result["project"]["encryptionKey"] = key
        return answer

    def update_project(self):
        name = self._get_param("name")
        project = self.codebuild_backend.codebuild_projects.get(name)
        if project is None:
            raise ResourceNotFoundException(f"Project cannot be found: {name}")
        project.project_metadata.update(json.loads(self.body), lastModifiedDate=unix_time())
        return ActionResult({"project": project.project_metadata})

    CodeBuildResponse.create_project, CodeBuildResponse.update_project = create_project, update_project


def delete_projects_by_their_arn():
    from moto.codebuild.models import CodeBuildBackend

    uncorrected = CodeBuildBackend.delete_project
    CodeBuildBackend.delete_project = lambda self, name: uncorrected(self, name.rpartition(":project/")[2])


def correct_codebuild():
    take_projects_of_pipelines_without_a_location()
    keep_and_update_what_a_project_is_given()
    delete_projects_by_their_arn()


def correct_codepipeline():
    from moto.codepipeline.models import CodePipeline
    from moto.core.utils import unix_time

    def metadata(self):
        return {"pipelineArn": self._arn, "created": unix_time(self._created), "updated": unix_time(self._updated)}

    CodePipeline.metadata = property(metadata)


CORRECTIONS = {"s3": correct_s3, "ec2": correct_ec2, "codebuild": correct_codebuild, "codepipeline": correct_codepipeline}


def create_app(service):
    # A service is imported at its first call: EC2 alone costs 0.5 s that a boot never needs.
    CORRECTIONS.get(service, lambda: None)()
    return create_backend_app(service)


def warm_up():
    for module in ("moto.s3.responses", "moto.ssm.responses"):
        importlib.import_module(module)


def end_with_the_parent():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = make_server("127.0.0.1", port, DomainDispatcherApplication(create_app), threaded=True, request_handler=MotoRequestHandler)
    print(json.dumps({"endpoint": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    for background in (end_with_the_parent, warm_up):
        threading.Thread(target=background, daemon=True).start()
    server.serve_forever()


main()
