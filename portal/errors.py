"""The error catalogue: every failure a person can meet has a code, a sentence and what to do next.

Texts are message ids for Babel (Chinese is the source language; English lies in ``translations/en``). ``{name}``
places are filled from the error's parameters. No text names a path, a table, a class or another person's data.
"""

from __future__ import annotations

from dataclasses import dataclass


def _(text: str) -> str:
    """Marks a catalogue text for extraction; translated when it is shown."""
    return text


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """What is shown for one code: the sentence, the next step and the HTTP status where a request ends with it."""

    message: str
    remedy: str
    status: int = 400


class PortalError(Exception):
    """A refusal or failure with a catalogue code. ``params`` fill the places of its sentence."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        if code not in CATALOGUE:
            raise KeyError(f"{code} is not in the error catalogue")
        self.code = code
        self.params = params

    @property
    def entry(self) -> CatalogueEntry:
        """The catalogue entry of this error."""
        return CATALOGUE[self.code]


class NotFound(PortalError):
    """There is no such object, or not for this person: both look the same from outside."""

    def __init__(self) -> None:
        super().__init__("NOT_FOUND")


class Forbidden(PortalError):
    """This person's office does not include the act."""

    def __init__(self) -> None:
        super().__init__("FORBIDDEN")


CATALOGUE: dict[str, CatalogueEntry] = {
    # requests
    "BAD_REQUEST": CatalogueEntry(_("请求的内容不完整或格式不对。"), _("请返回上一页，刷新后再试一次。")),
    "CSRF": CatalogueEntry(_("页面停留太久，安全校验已过期。"), _("请刷新页面后再试一次，填写的内容请先复制出来。")),
    "NOT_SIGNED_IN": CatalogueEntry(_("请先登录。"), _("登录后会回到这一页。"), 401),
    "FORBIDDEN": CatalogueEntry(_("您的身份不能进行这项操作。"), _("如果工作需要，请联系管理员。"), 403),
    "NOT_FOUND": CatalogueEntry(_("没有找到这个页面或内容。"), _("请检查地址；它也可能已被删除，或者不属于您。"), 404),
    "METHOD_NOT_ALLOWED": CatalogueEntry(_("这个地址不支持这种操作。"), _("请从页面上的按钮进入。"), 405),
    "CONFLICT": CatalogueEntry(_("内容刚刚被别人改过。"), _("请刷新页面，核对后再试。"), 409),
    "TOO_LARGE": CatalogueEntry(_("提交的内容太大。"), _("请分成几次提交。"), 413),
    "UNKNOWN_FIELD": CatalogueEntry(_("请求里有不认识的字段：{field}。"), _("请去掉它再试。"), 422),
    "INVALID_VALUE": CatalogueEntry(_("“{field}”的值不合适。"), _("请按提示修改后再试。"), 422),
    "BUSY": CatalogueEntry(_("系统正忙，这次没有保存。"), _("请过几秒再试一次。"), 503),
    "INTERNAL": CatalogueEntry(
        _("服务器处理时出了问题，已经记录下来。"), _("请稍后再试；若仍不行，把请求编号告诉管理员。"), 500
    ),
    "AUDIT_UNAVAILABLE": CatalogueEntry(
        _("审计记录写不进去，所以这次操作没有执行。"), _("请稍后再试，并告知管理员。"), 503
    ),
    "DISK_FULL": CatalogueEntry(_("服务器存储空间不足，这次没有保存。"), _("请联系管理员清理空间后再试。"), 507),
    # signing in
    "SIGN_IN_FAILED": CatalogueEntry(_("账号或密码不正确。"), _("请检查大小写和输入法后再试。"), 401),
    "SIGN_IN_LOCKED": CatalogueEntry(
        _("登录失败次数过多，已暂停登录。"), _("请在 {minutes} 分钟后再试，或联系管理员解锁。"), 429
    ),
    "DIRECTORY_DOWN": CatalogueEntry(
        _("目录服务暂时不可用，暂时无法登录。"), _("您的账号没有问题，请几分钟后再试；已登录的同事不受影响。"), 503
    ),
    "ACCOUNT_DISABLED": CatalogueEntry(_("这个账号已停用。"), _("请联系管理员。"), 403),
    "PASSWORD_TOO_SHORT": CatalogueEntry(_("密码太短，至少 {minimum} 个字符。"), _("可以用一句容易记住的话。"), 422),
    "PASSWORD_TOO_COMMON": CatalogueEntry(_("这个密码太常见，容易被猜到。"), _("请换一个。"), 422),
    "PASSWORD_WRONG": CatalogueEntry(_("当前密码不正确。"), _("请再输入一次；忘记了请联系管理员。"), 422),
    "PASSWORD_CHANGE_NEEDED": CatalogueEntry(_("请先换一个只有您知道的密码。"), _("请在“我的设置”里修改密码。"), 403),
    "SETUP_TOKEN_INVALID": CatalogueEntry(
        _("初始化链接无效或已过期。"), _("请在服务器上运行 portal user token 取得新的链接。"), 403
    ),
    "LOGIN_TAKEN": CatalogueEntry(_("账号“{login}”已经存在。"), _("请换一个名字。"), 409),
    "SAME_PERSON": CatalogueEntry(_("管理员和审计员必须是两个不同的账号。"), _("请填写不同的名字。"), 422),
    "AUDITOR_ON_SERVER": CatalogueEntry(
        _("审计员的账号不能由管理员设立或改动。"),
        _("请在服务器上用 portal user create、role、password、disable 管理。"),
        403,
    ),
    "LAST_ADMIN": CatalogueEntry(_("这是最后一位管理员，不能停用或改换身份。"), _("请先指定另一位管理员。"), 409),
    # uploads
    "UPLOAD_TOO_LARGE": CatalogueEntry(_("文件超过了上限 {limit}。"), _("请压缩或剪短后再上传。"), 413),
    "UPLOAD_EMPTY": CatalogueEntry(_("文件是空的（0 字节）。"), _("请确认录音已保存完整，再选一次。"), 422),
    "UPLOAD_OFFSET": CatalogueEntry(_("上传进度对不上。"), _("页面会从服务器已收到的位置继续，请稍候。"), 409),
    "UPLOAD_LONGER": CatalogueEntry(
        _("收到的数据比文件声明的大小多。"), _("文件可能正在被改写；请保存好之后重新选择。"), 413
    ),
    "UPLOAD_CHECKSUM": CatalogueEntry(_("传输中数据出错。"), _("页面会重发这一段，请稍候。"), 460),
    "UPLOAD_LOCKED": CatalogueEntry(_("同一个文件正在另一个窗口上传。"), _("请等那边结束，或关闭那个窗口。"), 423),
    "UPLOAD_GONE": CatalogueEntry(_("这次上传已过期或已取消。"), _("请重新选择文件上传。"), 410),
    # recordings
    "MEDIA_EMPTY": CatalogueEntry(_("录音里没有任何数据。"), _("请确认录音已保存完整，再上传一次。"), 422),
    "MEDIA_NOT_AUDIO": CatalogueEntry(_("这不是音频或视频文件，只是扩展名像。"), _("请选择真正的录音文件。"), 422),
    "MEDIA_NO_AUDIO_TRACK": CatalogueEntry(
        _("视频里没有声音。"), _("请确认录制时打开了麦克风，或换一个带声音的文件。"), 422
    ),
    "MEDIA_FORMAT_REFUSED": CatalogueEntry(
        _("不支持这种格式。"), _("请转成 WAV、MP3、M4A、FLAC、OGG、AMR、WMA、MP4、MOV、MKV 或 WebM。"), 422
    ),
    "MEDIA_DAMAGED": CatalogueEntry(_("文件已损坏，读不出声音。"), _("请从录音设备重新拷贝一次。"), 422),
    "TRUNCATED_MEDIA": CatalogueEntry(
        _("文件不完整，只转写了能读出的部分。"), _("如果需要后面的内容，请重新拷贝文件再上传。"), 422
    ),
    "CHANNELS_NOT_SPLIT": CatalogueEntry(
        _("录音不是双声道，不能把两边分开，已合成一路转写。"), _("如果是电话录音，请导出为双声道再上传。"), 422
    ),
    "MEDIA_TOO_LONG": CatalogueEntry(_("录音长度超过上限 {limit_hours} 小时。"), _("请剪成几段再上传。"), 422),
    "MEDIA_TOO_SHORT": CatalogueEntry(_("录音太短，不到 0.1 秒。"), _("请确认录音已保存完整。"), 422),
    "MEDIA_TOO_MANY_CHANNELS": CatalogueEntry(
        _("声道太多（{channels} 个，最多 {limit} 个）。"), _("请导出为单声道或双声道。"), 422
    ),
    "MEDIA_RATE_TOO_HIGH": CatalogueEntry(
        _("采样率太高（{rate} Hz，最高 {limit} Hz）。"), _("请导出为 48 kHz 或更低。"), 422
    ),
    "MEDIA_DECODE_LIMIT": CatalogueEntry(
        _("解码这个文件要用的资源超过了安全上限（{limit}）。"), _("请先用常见软件转成 MP3 或 WAV 再上传。"), 422
    ),
    "MEDIA_PROTECTED": CatalogueEntry(_("文件有版权保护（DRM），无法读取。"), _("请使用没有加密的录音。"), 422),
    # recognition
    "NO_SPEECH": CatalogueEntry(
        _("没有听到人说话。"), _("请检查录音时麦克风是否打开、音量是否太小，或者是否选错了文件。"), 422
    ),
    "NOT_RECOGNISED": CatalogueEntry(
        _("听到了声音，但没有识别出文字。"), _("可能是音乐、掌声、方言或噪声太大；可以换更清晰的录音再试。"), 422
    ),
    "HOTWORDS_NOT_USED": CatalogueEntry(
        _("现在用的模型不能用热词，这次没有用上。"), _("需要热词的话，请管理员换一个支持热词的模型，再转写一次。"), 422
    ),
    "LANGUAGE_NOT_OFFERED": CatalogueEntry(
        _("现在用的模型不能指定这种语言，由它自己判断了。"),
        _("结果不对的话，请管理员换一个支持的模型，再转写一次。"),
        422,
    ),
    "SPEAKERS_NOT_OFFERED": CatalogueEntry(
        _("现在没有装分辨说话人的模型，这次没有分开。"), _("需要的话，请管理员装上以后再转写一次。"), 422
    ),
    "SPEAKERS_FAILED": CatalogueEntry(
        _("文字已识别完，但没能分辨出说话人。"), _("需要的话请点“重新转写”再试一次；若仍不行，请告诉管理员。"), 422
    ),
    "ENGINE_UNAVAILABLE": CatalogueEntry(_("识别引擎正在重启。"), _("任务会自动继续，不用做任何事。"), 503),
    "ENGINE_BUSY": CatalogueEntry(_("识别引擎正忙。"), _("任务会自动继续，不用做任何事。"), 503),
    "ENGINE_FAILED": CatalogueEntry(_("识别时出错。"), _("请点“重试”；若仍不行，把请求编号告诉管理员。"), 500),
    "ENGINE_NO_MEMORY": CatalogueEntry(
        _("计算设备的内存不够，这段录音没有识别完。"),
        _("请稍后点“重试”；若仍不行，请管理员清理缓存，或打开 engine_cpu_rescue。"),
        507,
    ),
    "TEXT_CUT_OFF": CatalogueEntry(
        _("模型写到长度上限还没写完，这段录音没有识别完整。"),
        _("请在“场合”里选“电话”（一段最长 20 秒）再试，或换一个模型；常常这样的话请告诉管理员。"),
        422,
    ),
    "POISON": CatalogueEntry(
        _("这段录音两次让识别引擎意外停止，不再识别它。"),
        _("请用常见软件另存为 WAV 或 MP3 再上传；若仍不行，把请求编号告诉管理员。"),
        422,
    ),
    "OOM_SPLIT": CatalogueEntry(
        _("显存不足，有 {count} 个片段切开后才识别。"),
        _("切口附近的字请对着录音核一下；管理员可以在引擎页看显存。"),
        422,
    ),
    "OOM_CPU": CatalogueEntry(
        _("显存不足，有 {count} 个片段改用 CPU 识别。"), _("文字不受影响，只是慢一些；管理员可以在引擎页看显存。"), 422
    ),
    "SEGMENT_EMPTY": CatalogueEntry(
        _("有 {count} 处听到声音，但没有识别出文字。"),
        _("多半是音乐、掌声或噪声；如果那里有人说话，请换更清晰的录音再试。"),
        422,
    ),
    "ENGINE_PROTOCOL": CatalogueEntry(_("识别引擎的回答不对。"), _("请把请求编号告诉管理员。"), 500),
    "ATTEMPTS_EXHAUSTED": CatalogueEntry(
        _("这段录音试了 {attempts} 次都没有完成。"), _("请点“重试”；若仍不行，把请求编号告诉管理员。"), 500
    ),
    "ASR_FAILED": CatalogueEntry(_("识别没有完成。"), _("请点“重试”；若仍不行，把请求编号告诉管理员。"), 500),
    "CANCELLED": CatalogueEntry(_("已取消。"), _("可以随时点“重试”重新转写。"), 409),
    "WRONG_STATE": CatalogueEntry(_("任务的状态刚刚变了，这个操作不再适用。"), _("请刷新页面查看最新状态。"), 409),
    "FILE_MISSING": CatalogueEntry(_("服务器上找不到这个录音文件。"), _("请重新上传，并告知管理员。"), 500),
    "HOTWORD_REFUSED": CatalogueEntry(
        _("热词“{word}”不能使用。"), _("请只用中文、字母、数字和 - _ . + &，最长 {limit} 个字。"), 422
    ),
    "HOTWORDS_TOO_MANY": CatalogueEntry(
        _("热词太多（{count} 个，最多 {limit} 个）。"), _("请只留下这次会用到的词。"), 422
    ),
    "REPLACEMENT_REFUSED": CatalogueEntry(
        _("“{text}”不能使用。"),
        _(
            "请写成“错的写法→对的写法”：两边不同，不含标点，最长 {limit} 个字；"
            "错的写法至少 2 个字，按读音找时至少 2 个汉字。"
        ),
        422,
    ),
    "REPLACEMENT_TAKEN": CatalogueEntry(_("“{wrong}”已经在替换表里。"), _("请修改原来的那一条。"), 409),
    "REPLACEMENTS_TOO_MANY": CatalogueEntry(
        _("替换表的条目太多（{count} 条，最多 {limit} 条）。"), _("请先删掉不再需要的。"), 422
    ),
    "TOO_MANY_LISTS": CatalogueEntry(
        _("个人热词表最多 {limit} 张。"), _("请先删掉一张不用的，或把词加进现有的表。"), 409
    ),
    "LIST_NAME_TAKEN": CatalogueEntry(_("已经有同名的热词表。"), _("请换一个名字。"), 409),
    "DEPARTMENT_NAME_TAKEN": CatalogueEntry(_("已经有同名的部门。"), _("请换一个名字。"), 409),
    "DEPARTMENT_NOT_EMPTY": CatalogueEntry(_("部门里还有人或热词表，不能删除。"), _("请先把他们移到别的部门。"), 409),
    # models
    "ENGINE_IN_USE": CatalogueEntry(
        _("有录音正在识别，没有卸载。"), _("请选“等正在识别的完成再卸载”，或稍后再试。"), 409
    ),
    "ENGINE_CHANGING": CatalogueEntry(_("引擎正在加载或卸载模型。"), _("请等这一步结束后再试。"), 409),
    "ENGINE_NO_ROOM": CatalogueEntry(
        _("内存不够同时放下两个模型，仍用原来的模型。"), _("请先卸载再加载，或先让别的程序让出内存。"), 507
    ),
    "MODEL_CANARY": CatalogueEntry(
        _("新加载的模型没有认出样本录音，没有启用。"), _("请检查模型文件是否完整、与显卡是否相容。"), 500
    ),
    "MODEL_MISSING_FILE": CatalogueEntry(
        _("模型目录缺少文件 {file}。"), _("请补齐文件，再运行 portal model verify。"), 500
    ),
    "MODEL_ALTERED": CatalogueEntry(
        _("模型文件 {file} 被改动过。"), _("请恢复原文件，或重新运行 portal model add 并确认。"), 500
    ),
    "MODEL_UNKNOWN": CatalogueEntry(_("模型目录没有登记。"), _("请先运行 portal model add 并确认。"), 500),
    "MODEL_FAMILY_REFUSED": CatalogueEntry(
        _("不支持这一类模型（{family}）。"), _("请使用 Paraformer、SenseVoice-Small 或 Fun-ASR-Nano 模型。"), 422
    ),
    "MODEL_UNSAFE": CatalogueEntry(_("模型目录里有会执行代码的内容，已拒绝。"), _("请使用官方原始目录。"), 422),
    "PROFILE_REFUSED": CatalogueEntry(
        _("设置的计算方式在样本录音上的结果差得太多，没有启用。"),
        _("已改用更精确的方式；需要提速的话请换模型或换计算设备。"),
        500,
    ),
    "PROFILE_UNAVAILABLE": CatalogueEntry(
        _("设置的计算方式在这台设备或这个模型上不能用。"),
        _("已改用精确方式；请检查 engine_profile 和磁盘空间，详情见引擎日志。"),
        500,
    ),
    "DEVICE_UNAVAILABLE": CatalogueEntry(
        _("要求的计算设备不可用。"), _("请检查驱动，或把 engine_device 设为 auto。"), 500
    ),
}


def counted(warning: str) -> tuple[str, dict[str, object]]:
    """The code and the parameters of a stored warning: ``CODE``, or ``CODE:3`` for one that happened three times."""
    code, _mark, count = warning.partition(":")
    return code, {"count": int(count) if count.isdecimal() else 1}


def entry(code: str) -> CatalogueEntry:
    """The entry of a code; a code that nobody wrote an entry for shows as INTERNAL rather than as a bare word."""
    return CATALOGUE.get(code, CATALOGUE["INTERNAL"])
