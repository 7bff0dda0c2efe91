"""How the log's codes are said to people. The codes stay in the log and in the CSV."""

from __future__ import annotations

from portal.services.audit import Action


def _(text: str) -> str:
    """Marks a text for extraction; translated when it is shown."""
    return text


FAMILIES: dict[str, str] = {
    "session": _("登录与会话"),
    "access": _("被拒的访问"),
    "portal": _("初始化"),
    "upload": _("上传"),
    "recording": _("录音"),
    "transcription": _("转写任务"),
    "transcript": _("转写文本"),
    "hotwords": _("热词表"),
    "replacements": _("替换表"),
    "user": _("人员"),
    "department": _("部门"),
    "setting": _("设置"),
    "engine": _("引擎"),
    "model": _("模型"),
    "audit": _("访问记录"),
}

ACTIONS: dict[str, str] = {
    Action.SIGN_IN: _("登录"),
    Action.SIGN_OUT: _("退出"),
    Action.SESSION_REVOKE: _("结束会话"),
    Action.ACCESS_REFUSED: _("访问被拒"),
    Action.SETUP: _("建立首批账号"),
    Action.SETUP_TOKEN: _("签发初始化链接"),
    Action.UPLOAD_START: _("开始上传"),
    Action.UPLOAD_FINISH: _("上传完成"),
    Action.UPLOAD_REFUSE: _("上传被拒"),
    Action.UPLOAD_CANCEL: _("取消上传"),
    Action.RECORDING_PLAY: _("播放录音"),
    Action.RECORDING_DOWNLOAD: _("下载录音"),
    Action.RECORDING_DELETE: _("删除录音"),
    Action.RECORDING_RENAME: _("改录音标题"),
    Action.TRANSCRIPTION_START: _("提交转写"),
    Action.TRANSCRIPTION_RETRY: _("重试转写"),
    Action.TRANSCRIPTION_CANCEL: _("取消转写"),
    Action.TRANSCRIPTION_FINISH: _("转写结束"),
    Action.TRANSCRIPTION_DISCARD: _("丢弃迟到的结果"),
    Action.TRANSCRIPTION_REQUEUE: _("重新排队"),
    Action.TRANSCRIPTION_PRIORITY: _("调整先后"),
    Action.TRANSCRIPT_OPEN: _("打开转写"),
    Action.TRANSCRIPT_EXPORT: _("导出转写"),
    Action.TRANSCRIPT_SEARCH: _("搜索转写"),
    Action.HOTWORDS_CREATE: _("新建热词表"),
    Action.HOTWORDS_EDIT: _("保存热词表"),
    Action.HOTWORDS_RENAME: _("改热词表名"),
    Action.HOTWORDS_DELETE: _("删除热词表"),
    Action.REPLACEMENTS_EDIT: _("修改替换表"),
    Action.USER_CREATE: _("新建账号"),
    Action.USER_UPDATE: _("修改账号"),
    Action.USER_DISABLE: _("停用账号"),
    Action.USER_ENABLE: _("启用账号"),
    Action.USER_UNLOCK: _("解锁账号"),
    Action.USER_PASSWORD: _("更换密码"),
    Action.DEPARTMENT_CREATE: _("新建部门"),
    Action.DEPARTMENT_UPDATE: _("修改部门"),
    Action.DEPARTMENT_DELETE: _("删除部门"),
    Action.SETTING_CHANGE: _("修改设置"),
    Action.ENGINE_CLEAR_CACHE: _("清理引擎缓存"),
    Action.ENGINE_UNLOAD: _("卸载模型"),
    Action.ENGINE_LOAD: _("重新加载模型"),
    Action.ENGINE_SWITCH: _("切换模型"),
    Action.MODEL_ADD: _("登记模型"),
    Action.AUDIT_READ: _("查看访问记录"),
    Action.AUDIT_EXPORT: _("导出访问记录"),
    Action.AUDIT_VERIFY: _("校验访问记录"),
}

KINDS: dict[str, str] = {
    "user": _("人员"),
    "session": _("会话"),
    "upload": _("上传"),
    "recording": _("录音"),
    "transcription": _("转写任务"),
    "transcript": _("转写文本"),
    "hotword_list": _("热词表"),
    "replacement_table": _("替换表"),
    "department": _("部门"),
    "policy": _("设置项"),
    "engine": _("引擎"),
    "model": _("模型"),
    "route": _("页面"),
    "audit_event": _("访问记录"),
}

RESULTS: dict[str, str] = {"ok": _("成功"), "refused": _("被拒"), "failed": _("出错")}

PROBLEMS: dict[str, str] = {
    "altered": _("内容被改动过"),
    "missing": _("记录被删除"),
    "added": _("多出不是系统写的记录"),
    "head": _("链条末端被改动过"),
    "rolled_back": _("与见证文件不符，数据库可能被换成了旧的"),
}
