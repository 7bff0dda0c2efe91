"""Plain sentences built from parts of speech: text for the punctuation model beyond the templates.

With templates alone the model learns where THEY end and stumbles in any other wording. These sentences need not be
true; what matters is which words open, close and join clauses.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from . import vocabulary as words

Slots = dict[str, Callable[[random.Random], str]]

PEOPLE = "我 我们 你们 他们 他 大家 客户 用户 领导 同事 经理 老师 学生 员工 供应商 公司 团队 专家 主任".split()
THINGS = (
    "问题 方案 计划 目标 结果 原因 风险 预算 成本 收入 利润 "
    "合同 发票 订单 地址 价格 质量 数量 流程 需求 功能 接口 版本 "
    "代码 文档 报告 会议 纪要 任务 进度 模型 数据 算法 录音 视频 图片 文件 网络 服务器 证书 密码 权限 日志 故障 系统 "
    "项目 平台 产品 服务 设备 软件 程序 页面 表格 指标 标准 规定 条款 材料 资料 信息 通知 意见 建议 经验 效率 效果 "
    "测试结果 销售计划 付款日期 技术标准 准确率 使用率 完成率 会议室 办公室 火车票 钥匙 身份证 咖啡 空调 电梯"
).split()
VERBS = (
    "讨论 分析 总结 汇报 安排 准备 参加 通知 联系 解决 处理 反馈 提高 降低 增加 减少 保证 影响 使用 设计 开发 "
    "发布 采购 培训 审批 申请 批准 拒绝 介绍 补充 说明 解释 记录 整理 打印 发送 收到 查看 查询 填写 选择 下载 "
    "上传 保存 搜索 转发 负责 管理 检测 评估 比较 控制 改进 确认 同意 反对 支持 提交 完成 开始 结束 继续 取消 推迟 "
    "了解 知道 需要 重启 升级 检查 部署 备份 恢复 删除 修改 测试 "
    "优化 迁移 关闭 打开 更新 安装 调整 维护 更换 买 看 写"
).split()
ADVERBS = (
    "已经 正在 马上 现在 可能 应该 需要 希望 可以 一定 刚才 暂停 继续 一起 分别 完全 确实 还要 不能 不会 没有 还没有"
).split()
QUALITIES = words.ADJECTIVES + "高 低 大 小 多 少 好 远 近 晚 早".split()
OPENERS = "好的 是的 您好 大家好 没问题 谢谢 抱歉 首先 其次 最后 另外 目前 当然 其实 总结一下".split()
JOINS = (
    ("因为", "所以"), ("如果", "就"), ("虽然", "但是"), ("只要", "就"), ("由于", ""), ("", "但是"), ("", "所以"),
    ("", "然后"), ("", "不过"), ("", "而且"), ("", "因为"), ("为了", ""), ("除了", "还要"),
)  # fmt: skip


class Clauses:
    """Makes sentences; `slots` fill dates, names, amounts."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots

    def _slot(self, rng: random.Random, *names: str) -> str:
        return self.slots[rng.choice(names)](rng)

    def person(self, rng: random.Random) -> str:
        """Who does something."""
        return rng.choice(PEOPLE) if rng.random() < 0.5 else self._slot(rng, "name", "name", "dept")

    def thing(self, rng: random.Random) -> str:
        """What it is about."""
        r = rng.random()
        noun = rng.choice(THINGS)
        if r < 0.35:
            return noun
        if r < 0.5:
            return self._slot(rng, "proj", "prod", "brand", "dept") + "的" + noun
        if r < 0.6:
            return rng.choice(("这个", "那个", "这些", "新的", "我们的", "全部")) + noun
        if r < 0.7:
            return self._slot(rng, "small") + rng.choice(("个", "份", "台", "条")) + noun
        if r < 0.8:
            return self._slot(rng, "brand") + rng.choice(("项目", "系统", "平台", "项目的" + noun))
        if r < 0.9:
            return self._slot(rng, "proj", "prod", "serv")
        return noun + rng.choice(("和", "的")) + rng.choice(THINGS)

    def action(self, rng: random.Random) -> str:
        """What is done."""
        r = rng.random()
        adverb = rng.choice(ADVERBS) if rng.random() < 0.35 else ""
        if r < 0.6:
            return adverb + rng.choice(VERBS) + rng.choice(("", "", "了", "一下")) + self.thing(rng)
        if r < 0.7:
            return adverb + "把" + self.thing(rng) + rng.choice(("发给", "送到", "转发给", "介绍给")) + self.person(rng)
        if r < 0.8:
            return "在" + self._slot(rng, "city") + rng.choice(VERBS) + self.thing(rng)
        if r < 0.9:
            return adverb + "去" + self._slot(rng, "city") + rng.choice(("出差", "开会", "拜访客户", "参加培训"))
        return "对" + self.thing(rng) + rng.choice(("很", "非常", "比较", "不")) + rng.choice(("满意", "清楚", "了解"))

    def statement(self, rng: random.Random) -> str:
        """One clause without marks."""
        r = rng.random()
        when = self._slot(rng, "date", "clock") if rng.random() < 0.25 else ""
        if r < 0.55:
            return rng.choice((when, "")) + self.person(rng) + rng.choice((when, "")) + self.action(rng)
        if r < 0.7:
            return self.thing(rng) + rng.choice(("很", "太", "非常", "比较", "更", "不")) + rng.choice(QUALITIES)
        if r < 0.82:
            number = self._slot(rng, "money", "percent", "count", "d4", "d8", "date")
            return self.thing(rng) + rng.choice(("是", "达到了", "超过了", "增加了", "低于")) + number
        if r < 0.9:
            return self.thing(rng) + rng.choice(("已经", "正在", "还没有", "可以")) + rng.choice(words.ACTIONS)
        if r < 0.95:
            return "请" + self.person(rng) + self.action(rng)
        return self.thing(rng) + "是" + self.thing(rng)

    def question(self, rng: random.Random) -> str:
        """One question without its mark."""
        r = rng.random()
        if r < 0.35:
            return self.statement(rng) + "吗"
        if r < 0.45:
            return "为什么" + self.statement(rng)
        if r < 0.55:
            return self.thing(rng) + rng.choice(
                ("怎么样", "是什么", "是多少", "在哪里", "可以吗", "有什么问题", "行不行")
            )
        if r < 0.65:
            return "谁" + self.action(rng)
        if r < 0.75:
            return (
                self.thing(rng)
                + rng.choice(("什么时候", "怎么", "能不能", "是不是", "有没有"))
                + rng.choice(words.ACTIONS)
            )
        if r < 0.85:
            return (
                self.person(rng)
                + rng.choice(("觉得", "认为"))
                + self.thing(rng)
                + rng.choice(("怎么样", "够不够", "好不好"))
            )
        if r < 0.93:
            return "请问" + self.thing(rng) + rng.choice(("多少钱", "是谁负责", "怎么安装", "什么时候上线", "在哪里"))
        return (
            self.person(rng)
            + rng.choice(("有什么", "还有什么"))
            + rng.choice(("意见", "问题", "建议", "想法", "需求"))
            + rng.choice(("", "吗"))
        )

    def sentence(self, rng: random.Random) -> str:
        """A sentence with its marks."""
        r = rng.random()
        opener = rng.choice(OPENERS) + "，" if rng.random() < 0.15 else ""
        if r < 0.42:
            return opener + self.statement(rng) + "。"
        if r < 0.64:
            return opener + self.question(rng) + "？"
        if r < 0.86:
            first, second = rng.choice(JOINS)
            tail = self.question(rng) + "？" if rng.random() < 0.2 else self.statement(rng) + "。"
            if first == "除了":
                return (
                    first
                    + self.thing(rng)
                    + "，"
                    + self.person(rng)
                    + second
                    + rng.choice(VERBS)
                    + self.thing(rng)
                    + "。"
                )
            return opener + first + self.statement(rng) + "，" + second + tail
        if r < 0.91:
            return self._slot(rng, "name") + "，" + self.question(rng) + "？"
        if r < 0.96:
            return self.statement(rng) + "，" + self.question(rng) + "？"
        return rng.choice(OPENERS) + "。"
