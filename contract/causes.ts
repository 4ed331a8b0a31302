/**
 * Every way pinion can fail, once: the sentence with the names involved, and the next step.
 * `docs/causes.md` is generated from here. A `transient` cause is retried inside its budget; a `permanent` one ends the phase at once.
 */
type Row = { readonly kind: 'permanent' | 'transient'; readonly says: string; readonly next: string };
const permanent = <S extends string>(says: S, next: string) => ({ kind: 'permanent', says, next }) as const;
const transient = <S extends string>(says: S, next: string) => ({ kind: 'transient', says, next }) as const;

const userData = {
  USER_DATA_EMPTY: permanent('{source} has no user data', 'launch the instance from a template version that a deploy made'),
  USER_DATA_SCRIPT: permanent(
    'the user data in {source} is a script; pinion runs none',
    'remove it from the launch template and deploy again; put set-up into the image',
  ),
  USER_DATA_CLOUD_CONFIG: permanent(
    'the user data in {source} is cloud-config; pinion takes none',
    'remove it from the launch template and deploy again; put set-up into the image',
  ),
  USER_DATA_MULTIPART: permanent(
    'the user data in {source} is multipart; pinion takes one JSON document',
    'remove the other parts from the launch template and deploy again',
  ),
  USER_DATA_TOO_LARGE: permanent(
    'the user data in {source} has {sizeBytes} bytes; {limitBytes} are allowed',
    'deploy again: pinion writes far less, so something else wrote this',
  ),
  USER_DATA_NOT_JSON: permanent('the user data in {source} is not JSON', 'deploy again: the launch template version was not written by pinion'),
  USER_DATA_INVALID: permanent('the user data in {source} is not valid at {path}: {problem}', 'deploy again with the CLI that belongs to this image'),
  USER_DATA_NEWER: permanent(
    'the user data in {source} has schema version {found}; this agent reads {known}',
    'bake and roll out an image with a newer agent first',
  ),
  UNPINNED: permanent('the user data in {source} names no release', 'deploy a release: the base version alone is never served'),
} as const;

const record = {
  RECORD_MISSING: permanent('{parameter} has no version {version}', 'make a release with pinion release and deploy it'),
  RECORD_DIGEST_MISMATCH: permanent(
    '{parameter}:{version} has sha256 {found}, {expected} is asked for',
    'the parameter was deleted and made again, or changed: make a release and deploy it',
  ),
  RECORD_INVALID: permanent('{parameter}:{version} is not a release record at {path}: {problem}', 'make a new release with pinion release and deploy it'),
  RECORD_NEWER: permanent('{parameter}:{version} has schema version {found}; this agent reads {known}', 'bake and roll out an image with a newer agent first'),
  RECORD_FOREIGN: permanent(
    '{parameter}:{version} belongs to {found}, the user data to {expected}',
    'make a release for this app and environment and deploy it',
  ),
  AGENT_TOO_OLD: permanent('{parameter}:{version} needs agent {needed}; this one is {found}', 'bake and roll out an image with that agent first'),
  PLATFORM_MISMATCH: permanent(
    'the release was built for {built}; this host is {host}',
    'build for this platform, or launch the instance type it was built for',
  ),
} as const;

const services = {
  IMDS_UNAVAILABLE: transient(
    'the instance metadata service at {endpoint} does not answer {path}: {detail}',
    'check that the instance has IMDSv2 on and a hop limit of at least 1',
  ),
  CREDENTIALS_UNAVAILABLE: transient(
    'there are no AWS credentials: {detail}',
    'on an instance attach the runtime profile; elsewhere set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret',
  ),
  CLOCK_SKEWED: transient(
    'the clock of this host is {seconds} s off from {service}',
    'check that chrony reaches a time server (169.254.169.123 on EC2); until then requests are signed with the time of the service',
  ),
  SSM_THROTTLED: transient('Parameter Store throttled {action}', 'wait, or raise the GetParameters quota of the account'),
  SSM_UNAVAILABLE: transient('Parameter Store does not answer {action}: {detail}', 'check the VPC endpoint or the route to Parameter Store'),
  SSM_DENIED: permanent('Parameter Store denied {action} on {parameter}', 'give the role read access to the paths of this app and environment'),
  S3_UNAVAILABLE: transient('S3 does not answer {action} on {object}: {detail}', 'check the VPC endpoint or the route to S3'),
  ARTIFACT_DENIED: permanent('S3 denied {action} on {object}', 'give the role s3:GetObjectVersion on the artifact bucket, and kms:Decrypt on its key'),
} as const;

const artifact = {
  ARTIFACT_MISSING: permanent('{object} does not exist', 'publish the artifact again and make a new release'),
  ARTIFACT_SIZE_MISMATCH: permanent(
    '{object} has {found} bytes, the record says {expected}',
    'the object is not the one that was released: publish again and make a new release',
  ),
  ARTIFACT_DIGEST_MISMATCH: permanent(
    '{object} has sha256 {found}, the record says {expected}',
    'the object, or the record, was changed after the release: publish again and make a new release',
  ),
  DOWNLOAD_STALLED: transient(
    '{object} came at under {floorBytesPerSecond} bytes/s, {receivedBytes} of {sizeBytes} bytes so far',
    'check the network path to S3',
  ),
  ARCHIVE_REFUSED: permanent('entry {entry} of {object} is refused: {reason}', 'build the artifact with pinion build; nothing else makes one that is accepted'),
  ARCHIVE_CORRUPT: permanent('{object} is not an archive that pinion build made: {detail}', 'build and publish again, then make a new release'),
  ARCHIVE_TOO_LARGE: permanent(
    '{object} unpacks to more than the {files} files and {bytes} bytes that the record says',
    'build and publish again, then make a new release',
  ),
  ARCHIVE_TRUNCATED: permanent(
    '{object} unpacks to {foundFiles} files and {foundBytes} bytes; the record says {files} and {bytes}',
    'build and publish again, then make a new release',
  ),
  MANIFEST_INVALID: permanent('the manifest of {object} is not valid at {path}: {problem}', 'build with the CLI that belongs to this image'),
  DISK_FULL: permanent('{folder} lacks {missingBytes} bytes for the release', 'give the instance a larger root volume'),
  INODES_FULL: permanent('{folder} lacks {missingInodes} inodes for the release', 'give the file system more inodes, or a larger root volume'),
  STATE_UNWRITABLE: permanent('{path} cannot be written: {detail}', 'check the owner of the folder and that the volume is not read-only'),
} as const;

const config = {
  CONFIG_MISSING: permanent(
    'config versions that the release names do not exist: {names}',
    'set them again and make a new release: pinion config set, pinion release',
  ),
  CONFIG_MIXED: permanent('Parameter Store answered {found} where {expected} was asked', 'make a new release; if it comes back, report it to AWS'),
  CONFIG_KEY_DENIED: permanent('the KMS key of {names} cannot be used: {detail}', 'enable the key and give the runtime role kms:Decrypt on it'),
  CONFIG_UNDELIVERABLE: permanent(
    'config {name} cannot be an environment variable: {problem}',
    'set a value that is UTF-8 text under 128 KB without NUL, and make a new release',
  ),
} as const;

const app = {
  INTERPRETER_MISSING: permanent('the interpreter {interpreter} cannot be run: {detail}', 'bake an image with that Python, or build for the one it has'),
  APP_OBJECT_MISSING: permanent('gunicorn found no app at {entryPoint}', 'correct entry-point in [tool.pinion], build and release again'),
  APP_SETTINGS_INVALID: permanent('gunicorn refused its settings: {detail}', 'correct [tool.pinion.gunicorn], build and release again'),
  APP_EXITED: transient('gunicorn ended with {exit}', 'read the last lines of the app in the log; after a SIGKILL look in dmesg for the out-of-memory killer'),
  APP_CRASH_LOOP: permanent(
    'gunicorn ended {count} times within {windowMs} ms, last with {exit}',
    'read the last lines of the app in the log; release the earlier one',
  ),
  APP_OUT_OF_MEMORY: permanent(
    'the kernel ended processes of the app {count} times within {windowMs} ms for want of memory, before it ever answered',
    'give it fewer workers or a larger instance type; release the earlier one',
  ),
  APP_START_TIMEOUT: transient(
    'the app did not answer {path} within {timeoutMs} ms: {detail}',
    'read the last lines of the app in the log; make its import faster or raise the start limit',
  ),
  APP_WORKER_REPLACED: transient(
    'worker {pid} of gunicorn ended and was replaced{detail}',
    'nothing, if it happens rarely; else read the lines of the app in the log',
  ),
  PROBE_STALE: transient('the last good answer of {path} is {ageMs} ms old', 'see what keeps the agent from running: memory, processor, a stopped process'),
  APP_UNHEALTHY: transient('the app gives {path} no good answer: {detail}', 'read the last lines of the app in the log'),
  APP_SPAWN_FAILED: transient(
    'gunicorn cannot be started: {detail}',
    'look at memory and process limits of the host; if a file that it names is gone, start the agent again: it writes it',
  ),
  TREE_MISSING: permanent('what the boot made is gone from the disk: {path}', 'start the agent again: it makes it anew'),
  PORT_IN_USE: transient('{address} is held by {holder}', 'stop that process, or choose another port: PINION_TRAFFIC_PORT'),
  APP_ROLE_DENIED: permanent(
    'STS does not let the agent assume the role of the app, {role}: {detail}',
    "in Terraform, let that role's trust policy name the runtime role, and give the runtime role sts:AssumeRole on it; STS says the same of a role that does not exist. The agent asks again by itself",
  ),
  APP_ROLE_UNAVAILABLE: transient(
    'STS gives no credentials for the role of the app, {role}: {detail}',
    'check the VPC endpoint or the route to STS; the app keeps what it has until that ends',
  ),
} as const;

const agent = {
  BOOT_TIMEOUT: permanent('the boot did not end within {budgetMs} ms, last in {phase}', 'read the phases before it in the log'),
  BOOT_CRASHED: permanent('the boot process ended with {exit} in {phase}', 'read its last lines in the log and report them with the release'),
  AGENT_NOT_RUNNING: permanent(
    'no agent answers at {socket}: {detail}',
    'if /readyz answers, its runtime folder was removed: start it again; else look at how it ended: systemctl status pinion-agent, or the terminal it was started in. RUNTIME_DIRECTORY names the folder of another',
  ),
  AGENT_SILENT: permanent(
    'the agent at {socket} did not answer within {timeoutMs} ms',
    'see whether it is stopped or starved: ps -o pid,stat,cmd -C pinion-agent',
  ),
  ALREADY_RUNNING: permanent('{folder} is in use by {holder}', 'stop that process first, or give this one folders of its own'),
  SETTING_INVALID: permanent('the setting {setting} is not valid: {problem}', 'correct that variable of the environment'),
  HEALTH_PORT_IN_USE: permanent('the health port {address} is held by {holder}', 'stop that process, or choose another port: PINION_HEALTH_PORT'),
  CREDENTIALS_PORT_IN_USE: permanent(
    "the port for the app's credentials, {address}, is held by {holder}",
    'stop that process, or choose another port: PINION_CREDENTIALS_PORT',
  ),
  LIFECYCLE_ACTION_DENIED: permanent(
    'Auto Scaling denied {action} for the hook {hook} of {group}',
    'give the runtime role autoscaling:CompleteLifecycleAction and autoscaling:RecordLifecycleActionHeartbeat on the group. The agent asks again by itself',
  ),
  LIFECYCLE_ACTION_UNAVAILABLE: transient(
    'Auto Scaling does not take {action} for the hook {hook} of {group}: {detail}',
    'check the VPC endpoint or the route to Auto Scaling, and that group and hook exist',
  ),
  INTERNAL_ERROR: permanent('pinion met an error of its own: {detail}', 'report it with the log'),
} as const;

const cli = {
  USAGE: permanent('{detail}', 'see --help'),
  SETTINGS_MISSING: permanent('there is no [tool.pinion]: {detail}', 'add it (docs/app-contract.md), or name the folder of the app with --app-dir'),
  SETTINGS_INVALID: permanent('{file} is not valid at {path}: {problem}', 'correct it; docs/app-contract.md lists every setting'),
  ENV_MISSING: permanent('no environment is named', 'name it with --env or PINION_ENV'),
  REGION_MISSING: permanent('no AWS Region is set', 'set AWS_REGION'),
  AWS_DENIED: permanent('AWS denied {action} on {resource}{who}', 'use a role that may do this; docs/concepts.md says which'),
  AWS_REFUSED: permanent('AWS refused {action} on {resource}: {detail}', 'correct what the sentence names'),
  AWS_UNAVAILABLE: transient('AWS does not answer {action} on {resource}: {detail}', 'try again; check the Region and the network'),
  INFRASTRUCTURE_MISSING: permanent(
    '{parameter} does not exist',
    'check --env, the account and the Region; if they are right, land the Terraform change first: it writes this document',
  ),
  INFRASTRUCTURE_INVALID: permanent('{parameter} is not valid at {path}: {problem}', 'land the Terraform change first: it writes this document'),
  BUCKET_MISSING: permanent('the bucket {bucket} does not exist', 'land the Terraform change first: it makes the bucket'),
  BUCKET_UNVERSIONED: permanent(
    '{object} has no version: the bucket keeps none',
    'land the Terraform change first: it turns versioning on; then delete this object and publish again',
  ),
  PYTHON_MISSING: permanent('there is no Python {python}: {detail}', 'install it, or choose another with --python'),
  REQUIREMENTS_MISSING: permanent(
    '{file} does not exist',
    'lock the requirements with hashes: uv pip compile --generate-hashes requirements.in -o requirements.txt',
  ),
  WHEELS_UNAVAILABLE: permanent(
    'pip could not fetch every requirement as a wheel with its hash: {detail}',
    'lock versions that have wheels for this Python and platform, with --generate-hashes',
  ),
  WHEEL_REFUSED: permanent('{wheel} is refused: {reason}', 'lock another version of it'),
  GUNICORN_MISSING: permanent('{file} does not lock gunicorn', 'add gunicorn to requirements.in and lock again'),
  SOURCE_REFUSED: permanent('{path} cannot go into an artifact: {reason}', 'move it out, or leave it out with exclude in [tool.pinion]'),
  GIT_FAILED: permanent(
    'git cannot say what it ignores in {folder}: {detail}',
    'make git status work there; for a folder of another user: git config --global --add safe.directory FOLDER',
  ),
  NOT_BUILT: permanent('there is no artifact in {folder}', 'run pinion build first'),
  NOT_PUBLISHED: permanent('the artifact in {folder} was not published to {bucket}', 'run pinion publish first'),
  ARTIFACT_ALTERED: permanent('{file} is not what was built: sha256 {found}, built {expected}', 'run pinion build again'),
  ARTIFACT_BUCKET_DIFFERS: permanent(
    'the artifact of {from} is in the bucket {found}; {env} takes artifacts from {bucket}',
    'land the Terraform change first: all environments of an app name one artifact bucket',
  ),
  ARTIFACT_CONFLICT: permanent('{object} exists with other bytes', 'find out who wrote it: an artifact is never overwritten'),
  RELEASE_MISSING: permanent('there is no {wanted} of {app} in {env}', 'choose one that pinion history shows for that environment'),
  CONFIG_NAME_UNKNOWN: permanent('{name} is not a config name of this app', 'add it to config in [tool.pinion] first'),
  CONFIG_VALUE_REFUSED: permanent('the value of {name} is refused: {problem}', 'give a value that Parameter Store and an environment can carry'),
  CONFIG_TYPE_CHANGED: permanent('{name} is a {found}; it cannot become a {asked}', 'keep its type, or use a new name'),
  CONFIG_KEY_MISSING: permanent('the key {key} for {name} does not exist, or is disabled', 'land the Terraform change first: it makes the key'),
  CONFIG_NOT_SET: permanent('config that the manifest asks for is not set in {env}: {names}', 'set each: pinion config set NAME'),
  CONFIG_VERSION_MISSING: permanent('{name} has no version {version}', 'choose one that pinion config list shows'),
  RECORD_TOO_LARGE: permanent('the release record has {sizeBytes} bytes; {limitBytes} fit a parameter', 'use fewer or shorter config names, or a shorter note'),
  RECORD_NOT_KEPT: permanent(
    '{parameter}:{version} does not hold what was written: sha256 {found}, written {expected}',
    'find out who else writes this parameter, then make the release again',
  ),
  CAUSE_UNKNOWN: permanent('{code} is not a cause; {nearest} is the nearest', 'list them with pinion explain'),
  INTERRUPTED: transient('interrupted before the end', 'run it again: what was done is kept and used'),
} as const;

const rollout = {
  GROUP_MISSING: permanent(
    'there is no Auto Scaling group {group}',
    'land the Terraform change first: it makes the group that the infrastructure document names',
  ),
  GROUP_UNUSABLE: permanent('the group {group} cannot take a deploy: {problem}', 'land the Terraform change first'),
  GROUP_EMPTY: permanent('the group {group} wants no instance, so nothing can prove a release', 'raise its desired capacity, then deploy'),
  PROCESSES_SUSPENDED: permanent(
    'the group {group} has suspended {processes}; a deploy needs them',
    'find out who suspended them, then: aws autoscaling resume-processes',
  ),
  TEMPLATE_MISSING: permanent(
    'the launch template {template} has no version {version}',
    'land the Terraform change first: it makes the template and its default version',
  ),
  BASE_UNUSABLE: permanent(
    'the base version {version} of {template} cannot be deployed: {problem}',
    'land the Terraform change first: it writes the base version',
  ),
  TIMES_INVALID: permanent(
    'the times of {parameter} do not fit each other: {problem}',
    'correct them in Terraform; docs/operations.md#times has the inequalities',
  ),
  ALARM_MISSING: permanent('the alarm {alarm} does not exist', 'land the Terraform change first: it makes the alarms that the infrastructure document names'),
  ALARM_NOT_OK: permanent(
    'the alarm {alarm} is in {state}; Auto Scaling refuses a refresh with it',
    'see to it first, or leave it out of this deploy: --despite-alarm NAME',
  ),
  WAY_BACK_GONE: permanent(
    'release {release}, which is live, could not be booted again: {problem}',
    'restore what is missing; or make a release that can be booted, and go to it with pinion rollback --to N',
  ),
  RELEASE_UNBOOTABLE: permanent('release {release} could not be booted: {problem}', 'make a new release, or restore what is missing'),
  NOTHING_LIVE: permanent('no release of {app} in {env} was ever live, so there is nothing to go back to', 'deploy a release that works; --to N chooses one'),
  DEPLOY_BUSY: permanent(
    'a refresh of {group} is under way already, to {towards}{unused}',
    'watch it to its end with pinion wait, or end it with pinion rollback',
  ),
  ROLLED_BACK: permanent('release {release} was rolled back: {reason}', 'the earlier release serves; mend this one and release anew'),
  ROLLBACK_FAILED: permanent(
    'the rollback of release {release} failed: {reason}',
    'look at pinion status; then pinion rollback starts a new refresh to the live release',
  ),
  DEPLOY_FAILED: permanent(
    'the deploy of release {release} failed and nothing was rolled back: {reason}',
    'look at pinion status; pinion rollback goes to the live release',
  ),
  SMOKE_FAILED: permanent('release {release} did not pass smoke: {reason}', 'read the answer in the log of the app; mend it and release anew'),
  DEPLOY_TIMEOUT: transient(
    'the deploy of release {release} did not end within {seconds} s; it goes on without this command',
    'watch it to its end with pinion wait',
  ),
  DETACHED: transient(
    'this command no longer watches; the deploy of release {release} goes on',
    'watch it to its end with pinion wait, from anywhere: until then nobody asks smoke or undoes it',
  ),
  DOCTOR_FOUND: permanent('{count} of {all} checks do not hold', 'mend what is marked; most of it is in Terraform'),
  NOTHING_TO_WAIT_FOR: permanent('no deploy of {app} in {env} is under way, and none was before', 'pinion deploy starts one'),
} as const;

const local = {
  LOCAL_PYTHON_MISSING: permanent('{interpreter} does not exist', 'run npm start or npm test: each makes it'),
  LOCAL_CLOUD_SILENT: transient(
    'the cloud at {endpoint} does not answer: {detail}',
    'if AWS_ENDPOINT_URL names it, start that cloud, or unset the variable for the embedded one',
  ),
  LOCAL_CLOUD_FAILED: permanent('the local cloud ended with {exit} before it answered', 'read the lines above'),
} as const;

export const causes = { ...userData, ...record, ...services, ...artifact, ...config, ...app, ...agent, ...cli, ...rollout, ...local } as const satisfies Record<
  string,
  Row
>;
/** The headings of the reference page, in its order. */
export const causeGroups = {
  'User data': userData,
  'Release record': record,
  'AWS services': services,
  Artifact: artifact,
  Config: config,
  App: app,
  Agent: agent,
  CLI: cli,
  Rollout: rollout,
  'Local cloud': local,
} as const;

export type CauseCode = keyof typeof causes;
type Slots<S> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Slots<Rest> : never;
export type NamesOf<C extends CauseCode> = { readonly [Name in Slots<(typeof causes)[C]['says']>]: string | number };

/** One cause as it travels in `/readyz`, the log, the console line and `--json`. */
export type CauseReport = { readonly cause: CauseCode; readonly sentence: string; readonly next: string };

/** Linear work throws this and nothing else; it is caught in one place per program. `names` fill the sentence and never hold a value of config. */
export class Failure<C extends CauseCode = CauseCode> extends Error {
  readonly code: C;
  constructor(code: C, names: NamesOf<C>, options?: { readonly cause?: unknown }) {
    super(
      causes[code].says.replace(/\{(\w+)\}/g, (_, name: string) => String((names as Record<string, string | number>)[name])),
      options,
    );
    this.name = 'Failure';
    this.code = code;
  }

  get isTransient(): boolean {
    return causes[this.code].kind === 'transient';
  }

  get report(): CauseReport {
    return { cause: this.code, sentence: this.message, next: causes[this.code].next };
  }
}

/** The one line that stderr, and so the console of an instance, gets. */
export const causeLine = ({ cause, sentence, next }: CauseReport): string => `pinion: ${cause}: ${sentence}. ${next[0]?.toUpperCase()}${next.slice(1)}.`;

/** Any thrown thing as a Failure; what pinion did not foresee becomes INTERNAL_ERROR with the original as `cause`. */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  return new Failure('INTERNAL_ERROR', { detail: thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown) }, { cause: thrown });
}
